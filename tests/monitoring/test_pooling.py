"""Sites send sums; the model from them is the model from all batches in one place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.monitoring.monitoring_setup import VARIABLES, simulated

from isogenic.errors import NotAllowed, NotTrusted, NotValid, Refusal
from isogenic.monitoring import BatchTable, fit
from isogenic.monitoring.pooling import (
    Agreement,
    SiteLimits,
    SiteSums,
    agree_on,
    critical_of_site,
    levels_of_site,
    pool,
    pooled_model,
    site_left_out,
    site_sums,
)
from isogenic.monitoring.pooling.limits import left_out_at_site, limits_of

SITES = ("GHENT", "LEEDS", "PORTO")


def batches_of(site: str, count: int = 8, *, gaps: bool = False) -> list[BatchTable]:
    """Batches with a level of the site's own."""
    offset = np.array([0.02, -0.01, 1.0, 0.5, 0.02]) * (SITES.index(site) - 1)
    tables = [BatchTable(f"{site}-{each.batch}", each.maturity, each.values + offset) for each in simulated(count, seed=SITES.index(site))]
    if gaps:
        for number, table in enumerate(tables):
            table.values[10 * number + 20 : 10 * number + 40, number % 5] = np.nan
            table.values[:, (number + 2) % 5][::37] = np.nan
    return tables


def agreement() -> Agreement:
    """Drawn up from a model of batches that no site has."""
    return agree_on(fit(simulated(6, seed=77), variables=VARIABLES, name="pooled", product="X"))


@pytest.mark.parametrize("gaps", [False, True])
def test_the_model_from_sums_is_the_model_from_all_batches(gaps: bool) -> None:
    agreed = agreement()
    every = {site: batches_of(site, gaps=gaps) for site in SITES}
    raw = fit([table for site in SITES for table in every[site]], variables=VARIABLES, name="pooled", product="X")
    # over the wire: bytes, read again
    sent = [SiteSums.from_bytes(site_sums(every[site], agreed, site=site).to_bytes(), agreed) for site in SITES]
    together = pool(agreed, sent)
    left_out = {site: left_out_at_site(every[site], agreed, together) for site in SITES}
    levels = {site: levels_of_site(left_out[site], knots=together.structure.knots) for site in SITES}
    total = np.sum(list(levels.values()), axis=0)
    answers = [SiteLimits(site, levels[site], critical_of_site(left_out[site], total, consecutive=3)) for site in SITES]
    limits = limits_of(together.structure, answers, false_alarms=agreed.false_alarms)
    model = pooled_model(agreed, together, limits, sites=sent)
    assert model.structure.grid == raw.structure.grid
    assert model.structure.components == raw.structure.components
    for ours, theirs in (
        (model.structure.mean, raw.structure.mean),
        (model.structure.scale, raw.structure.scale),
        (model.structure.spread, raw.structure.spread),
        (model.structure.directions, raw.structure.directions),
        (model.t2_limit, raw.t2_limit),
        (model.spe_limit, raw.spe_limit),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    assert model.calibration.batches == ("GHENT: 8 batches", "LEEDS: 8 batches", "PORTO: 8 batches")


def test_the_order_in_which_sites_answer_does_not_matter() -> None:
    agreed = agreement()
    sent = [site_sums(batches_of(site, gaps=site == "PORTO"), agreed, site=site) for site in SITES]
    one, two = pool(agreed, sent), pool(agreed, sent[::-1])
    assert one.structure.directions.tobytes() == two.structure.directions.tobytes()
    assert one.structure.mean.tobytes() == two.structure.mean.tobytes()


def test_a_site_left_out_is_as_if_it_had_never_sent() -> None:
    agreed = agreement()
    sent = [site_sums(batches_of(site), agreed, site=site) for site in SITES]
    assert pool(agreed, site_left_out(sent, "LEEDS")).structure.mean.tobytes() == pool(agreed, [sent[0], sent[2]]).structure.mean.tobytes()
    with pytest.raises(NotValid, match="sent no sums"):
        site_left_out(sent, "OSLO")


def test_what_is_sent_is_listed_and_has_no_reading_in_it() -> None:
    agreed = agreement()
    sent = site_sums(batches_of("LEEDS"), agreed, site="LEEDS").to_bytes()
    points, p = agreed.centre.shape
    head = sent.split(b"\n", 2)[:2]
    assert len(sent) == sum(len(line) + 1 for line in head) + 8 * points * (p + p * (p + 1) // 2) + 32
    assert b"LEEDS-" not in sent


def test_the_sums_of_one_batch_are_not_sent() -> None:
    with pytest.raises(NotAllowed, match="the sums of one batch are that batch"):
        site_sums(batches_of("LEEDS", 1), agreement(), site="LEEDS")


def test_sums_under_another_agreement_are_refused() -> None:
    agreed = agreement()
    other = agree_on(fit(simulated(6, seed=78), variables=VARIABLES, name="pooled", product="X"))
    sent = site_sums(batches_of("LEEDS"), agreed, site="LEEDS")
    with pytest.raises(NotAllowed, match="made under agreement"):
        SiteSums.from_bytes(sent.to_bytes(), other)
    with pytest.raises(NotAllowed, match="another agreement"):
        pool(other, [sent])


def test_a_site_that_sent_twice_or_too_few_batches_is_refused() -> None:
    agreed = agreement()
    sent = site_sums(batches_of("LEEDS"), agreed, site="LEEDS")
    with pytest.raises(NotValid, match="a site is there twice"):
        pool(agreed, [sent, sent])
    with pytest.raises(NotValid, match="2 batches are too few"):
        pool(agreed, [site_sums(batches_of("LEEDS", 2), agreed, site="LEEDS")])


def test_one_altered_byte_of_sums_or_of_an_agreement_is_refused() -> None:
    agreed = agreement()
    sent = site_sums(batches_of("LEEDS", 3), agreed, site="LEEDS").to_bytes()
    for data, read in ((sent, lambda data: SiteSums.from_bytes(data, agreed)), (agreed.to_bytes(), Agreement.from_bytes)):
        for at in (0, 30, len(data) // 2, len(data) - 1):
            altered = bytearray(data)
            altered[at] ^= 1
            with pytest.raises((NotTrusted, NotValid)):
                read(bytes(altered))
    assert Agreement.from_bytes(agreed.to_bytes()).digest == agreed.digest


def test_sums_that_no_batches_can_have_are_refused() -> None:
    agreed = agreement()
    sent = site_sums(batches_of("LEEDS", 3), agreed, site="LEEDS")
    sent.sums.total[5, 2] += 1e3
    with pytest.raises(NotValid, match="squares are smaller"):
        SiteSums.from_bytes(SiteSums("LEEDS", agreed.digest, 3, sent.sums, sent.shared).to_bytes(), agreed)
    sent = site_sums(batches_of("LEEDS", 3), agreed, site="LEEDS")
    sent.sums.cross[5, 0, 1] += 1e3
    with pytest.raises(NotValid, match="products are larger"):
        SiteSums.from_bytes(SiteSums("LEEDS", agreed.digest, 3, sent.sums, sent.shared).to_bytes(), agreed)
    sent = site_sums(batches_of("LEEDS", 3, gaps=True), agreed, site="LEEDS")
    sent.sums.count[5, 2] = 2.5
    with pytest.raises(NotValid, match="counts are not those"):
        SiteSums.from_bytes(SiteSums("LEEDS", agreed.digest, 3, sent.sums, sent.shared).to_bytes(), agreed)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=300), head=st.sampled_from([b"", b"isogenic site sums 1\n", b"isogenic agreement on sums 1\n"]))
def test_bytes_from_outside_are_refused(data: bytes, head: bytes) -> None:
    for read in (lambda data: SiteSums.from_bytes(data, AGREED), Agreement.from_bytes):
        with pytest.raises(Refusal):
            read(head + data)


AGREED = agreement()
