"""A site's own level and spread beside what all sites share."""

from __future__ import annotations

import numpy as np
import pytest
from tests.monitoring.monitoring_setup import NOISE, VARIABLES, simulated

from isogenic.errors import NotValid
from isogenic.monitoring import BatchTable, fit
from isogenic.monitoring.pooling import (
    Agreement,
    Network,
    SiteLimits,
    SiteSums,
    agree_on,
    at_site,
    critical_of_site,
    left_out_at_level,
    levels_of_site,
    limits_at,
    pool,
    seen_by,
    site_model,
    site_sums,
)
from isogenic.monitoring.structure import between, measure

SITES = ("BASEL", "GHENT", "LEEDS", "LYON", "PORTO", "TURKU")
LEVELS = {site: 4.0 * NOISE * np.random.default_rng(number).normal(size=5) for number, site in enumerate(SITES)}


def batches_of(site: str, count: int, *, seed: int = 0, spread: float = 1.0) -> list[BatchTable]:
    """Batches with a level of the site's own, four times as far from the others as batches are."""
    tables = simulated(count, seed=100 * seed + SITES.index(site), points=60)
    middle = np.mean([table.values for table in simulated(40, seed=999, points=60)], axis=0)
    return [BatchTable(f"{site}-{each.batch}", each.maturity, middle + spread * (each.values - middle) + LEVELS[site]) for each in tables]


def agreement() -> Agreement:
    return agree_on(fit(simulated(6, seed=77, points=60), variables=VARIABLES, name="network", product="X"))


def sums_of_all(agreed: Agreement, count: int = 12) -> list[SiteSums]:
    return [site_sums(batches_of(site, count), agreed, site=site) for site in SITES]


def level(network: Network, agreed: Agreement) -> np.ndarray:
    return np.asarray((agreed.centre + network.mean * agreed.scale).mean(axis=0))


def test_variance_within_sites_is_told_from_variance_between_them() -> None:
    agreed = agreement()
    sums = sums_of_all(agreed)
    network = seen_by(agreed, sums, "BASEL")
    within = np.sqrt((np.diagonal(network.within, axis1=1, axis2=2) * agreed.scale**2).mean(axis=0))
    together = np.sqrt(np.diagonal(pool(agreed, sums[1:]).sums.covariance(), axis1=1, axis2=2).mean(axis=0)) * agreed.scale.mean(axis=0)
    alone = np.sqrt(np.mean([np.var([table.values for table in batches_of(site, 12)], axis=0, ddof=1) for site in SITES[1:]], axis=(0, 1)))
    np.testing.assert_allclose(within, alone, rtol=0.01)
    assert (together > 1.2 * within).all()
    between_levels = np.sqrt((network.between * agreed.scale**2).mean(axis=0))
    told = np.std([LEVELS[site] for site in SITES[1:]], axis=0, ddof=1)
    assert (between_levels > 0.7 * told).all()
    assert (between_levels < 2.5 * told).all()


def test_a_site_with_two_batches_has_its_own_level_and_the_networks_shape() -> None:
    agreed = agreement()
    sums = sums_of_all(agreed)
    network = seen_by(agreed, sums, "LYON")
    truth = np.mean([table.values for table in batches_of("LYON", 40, seed=3)], axis=0)
    own = site_sums(batches_of("LYON", 2), agreed, site="LYON")
    far = {}
    for batches, structure in ((0, at_site(agreed, network, None)), (2, at_site(agreed, network, own))):
        far[batches] = np.abs(structure.mean - truth) / NOISE
    assert far[2].mean() < 0.5 * far[0].mean()
    # the uncertainty of the level is in the scale: less than that of a site without batches, more than within a site
    none, two, many = (
        at_site(agreed, network, each).scale.mean(axis=0) / NOISE for each in (None, own, site_sums(batches_of("LYON", 40), agreed, site="LYON"))
    )
    assert (none > two).all()
    assert (two > many).all()


def test_a_site_that_scatters_more_has_a_wider_spread() -> None:
    agreed = agreement()
    sums = [site_sums(batches_of(site, 12, spread=1.0 + 0.3 * at), agreed, site=site) for at, site in enumerate(SITES)]
    narrow = at_site(agreed, seen_by(agreed, sums, "BASEL"), sums[0]).scale
    wide = at_site(agreed, seen_by(agreed, sums, "TURKU"), sums[-1]).scale
    assert (wide.mean(axis=0) > 1.3 * narrow.mean(axis=0)).all()


@pytest.mark.parametrize("own", [2, 8])
def test_the_model_of_one_site_keeps_its_promise_there(own: int) -> None:
    agreed = agreement()
    every = {site: batches_of(site, own if site == "PORTO" else 12) for site in SITES}
    sums = [site_sums(every[site], agreed, site=site) for site in SITES]
    left_out = {site: left_out_at_level(every[site], agreed, seen_by(agreed, sums, site), own=own, site=site) for site in SITES}
    structure = at_site(agreed, seen_by(agreed, sums, "PORTO"), sums[4])
    levels = {site: levels_of_site(each, knots=structure.knots) for site, each in left_out.items()}
    total = np.sum(list(levels.values()), axis=0)
    answers = [SiteLimits(site, levels[site], critical_of_site(each, total, consecutive=3)) for site, each in left_out.items()]
    limits = limits_at(structure, answers, false_alarms=0.05)
    model = site_model(agreed, seen_by(agreed, sums, "PORTO"), sums[4], limits, site="PORTO", critical=60 + own)
    assert model.calibration.batches[0] == f"PORTO: {own} batches"

    def alarms(tables: list[BatchTable]) -> int:
        count = 0
        for table in tables:
            found = measure(model.structure, table.maturity, table.values)
            over = (found.t2 > between(model.t2_limit, found.place)) | (found.spe > between(model.spe_limit, found.place))
            count += bool((over[2:] & over[1:-1] & over[:-2]).any())
        return count

    assert alarms(batches_of("PORTO", 60, seed=5)) <= 8  # 5 % of 60 are 3; more than 8 by chance in 1 of 200
    struck = [
        BatchTable(each.batch, each.maturity, each.values + 5.0 * NOISE * (np.arange(60) >= 30)[:, None]) for each in batches_of("PORTO", 20, seed=6)
    ]
    assert alarms(struck) >= 18


def test_a_network_of_too_few_sites_says_nothing_of_how_they_differ() -> None:
    agreed = agreement()
    with pytest.raises(NotValid, match="1 other sites"):
        seen_by(agreed, sums_of_all(agreed)[:2], "BASEL")


def test_limits_of_unlike_sites_need_the_answers_of_three() -> None:
    agreed = agreement()
    sums = sums_of_all(agreed, 5)
    structure = at_site(agreed, seen_by(agreed, sums, "BASEL"), sums[0])
    with pytest.raises(NotValid, match="too few sites"):
        limits_at(structure, [SiteLimits("BASEL", np.ones((2, 3, structure.knots)), np.ones(5))], false_alarms=0.05)
