"""A site whose sums do not fit the others' is found, and nobody is accused by chance too often."""

from __future__ import annotations

import numpy as np
from tests.monitoring.monitoring_setup import NOISE, VARIABLES, simulated

from isogenic.monitoring import BatchTable, fit
from isogenic.monitoring.pooling import Agreement, SiteSums, agree_on, fit_of_sites, pool, site_left_out, site_sums

MIDDLE = np.mean([table.values for table in simulated(40, seed=999, points=60)], axis=0)
BETWEEN = 2.0 * NOISE


def agreement() -> Agreement:
    return agree_on(fit(simulated(6, seed=77, points=60), variables=VARIABLES, name="network", product="X"))


def network(*, seed: int, sites: int = 10, poisoned: np.ndarray | float = 0.0, spread: float = 1.0, mixed: bool = False) -> list[SiteSums]:
    """Sites with levels of their own; the last one is poisoned by so many standard deviations between sites."""
    dice, agreed = np.random.default_rng(seed), agreement()
    found = []
    for number in range(sites):
        last = number == sites - 1
        level = BETWEEN * dice.normal(size=5) + (BETWEEN * poisoned if last else 0.0)
        tables = []
        for each in simulated(12, seed=1000 * seed + number, points=60):
            deviation = (each.values - MIDDLE) * (spread if last else 1.0)
            if mixed and last:
                deviation[:, 2] = deviation[:, 0] / NOISE[0] * NOISE[2]
            tables.append(BatchTable(each.batch, each.maturity, MIDDLE + deviation + level))
        found.append(site_sums(tables, agreed, site=f"S{number}"))
    return found


def suspects(sums: list[SiteSums]) -> list[str]:
    return [each.site for each in fit_of_sites(agreement(), sums) if each.suspect]


def test_a_site_poisoned_in_all_variables_by_three_sigma_of_the_spread_between_sites_is_found() -> None:
    found = [suspects(network(seed=seed, poisoned=3.0)) for seed in range(8)]
    assert sum("S9" in each for each in found) >= 7


def test_a_site_poisoned_in_one_variable_far_out_is_found_and_the_variable_named_first() -> None:
    agreed = agreement()
    for seed in range(4):
        last = fit_of_sites(agreed, network(seed=seed, poisoned=np.array([0.0, 0.0, 8.0, 0.0, 0.0])))[-1]
        assert (last.misfits[0].what, last.misfits[0].variable) == ("level", "glucose")
        assert "level of glucose: +" in last.reason


def test_a_site_whose_spread_is_not_that_of_the_others_is_found() -> None:
    for spread in (0.4, 2.5):
        assert "S9" in suspects(network(seed=1, spread=spread))


def test_a_site_whose_variables_do_not_go_together_as_elsewhere_is_found() -> None:
    fits = fit_of_sites(agreement(), network(seed=2, mixed=True))
    assert any(each.what == "relations" for each in fits[-1].misfits)


def test_honest_sites_are_seldom_suspected() -> None:
    found = [suspects(network(seed=seed)) for seed in range(100, 108)]
    assert sum(map(len, found)) <= 14  # of 80


def test_of_too_few_sites_nothing_is_said_and_that_is_said() -> None:
    fits = fit_of_sites(agreement(), network(seed=1, sites=4, poisoned=20.0))
    assert not any(each.suspect for each in fits)
    assert fits[0].reason == "3 other sites are too few to tell who does not fit: at least 4"


def test_the_model_without_the_poisoned_site_is_that_of_the_others() -> None:
    agreed, sums = agreement(), network(seed=3, poisoned=10.0)
    assert suspects(sums) == ["S9"]
    assert pool(agreed, site_left_out(sums, "S9")).structure.mean.tobytes() == pool(agreed, sums[:-1]).structure.mean.tobytes()
