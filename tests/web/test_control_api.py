"""The control site over HTTP, on the real app and a real node."""

from __future__ import annotations

import asyncio
from typing import Any

from httpx2 import AsyncClient
from network_story import LEEDS, Network
from web_setup import app_of, signed_in, signs

from isogenic.sim.world import document


def kinds(network: Network, audience: str) -> list[str]:
    return [fact.kind for fact in network.node.ledgers[audience].facts()]


def as_person(network: Network, person: str, walk: Any) -> Any:
    async def whole() -> Any:
        return await walk(await signed_in(app_of(network), person))

    return asyncio.run(whole())


def test_network_tells_what_is_complete_and_what_is_still_on_its_way(standing: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return {each["site"]: (each["link"], each["complete"], each["open_deviations"]) for each in (await guest.get("/api/network")).json()["sites"]}

    assert as_person(standing, "INA", walk) == {"LEEDS": ("linked", True, 0), "GHENT": ("linked", True, 3), "PORTO": ("silent", False, 0)}


def test_site_tells_each_ledger_by_number_and_root(standing: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return (await guest.get("/api/sites/LEEDS")).json()["ledgers"]

    ledgers = as_person(standing, "INA", walk)
    copies = {origin: copy for origin, (site, copy) in standing.node.copies.items() if site == LEEDS}
    assert {each["ledger"]: (each["held"], each["root"]) for each in ledgers} == {
        origin: (copy.size, copy.root.hex()) for origin, copy in copies.items()
    }
    assert ledgers[1]["words"] == f"complete: {ledgers[1]['held']} of {ledgers[1]['noted']} facts, root verified"


def test_batch_tells_phases_answers_and_deviations(standing: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return (await guest.get("/api/batches/BAT-B2")).json()

    batch = as_person(standing, "INA", walk)
    assert [each["state"] for each in batch["phases"]] == ["done", "done", "done", "done", "running", "planned"]
    assert [each["answered_by"] for each in batch["prompts"]] == ["GUS", "GUS", "GUS"]
    assert [each["deviation"] for each in batch["deviations"]] == ["DEV-B2-1"]


def test_open_deviations_come_worst_first(standing: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return [(each["severity"], each["deviation"]) for each in (await guest.get("/api/deviations?only_open=true")).json()]

    assert as_person(standing, "BEN", walk) == [("major", "DEV-B2-1"), ("major", "DEV-B1-1"), ("minor", "DEV-B1-2")]


def test_trends_come_with_the_band_in_the_units_own_figures(standing: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return (await guest.get("/api/batches/BAT-B1/trends")).json(), (await guest.get("/api/batches/BAT-A2/trends")).json()

    over, running = as_person(standing, "INA", walk)
    assert len(over["trends"]) == 11
    assert len(over["points"]) > 300  # the sealed readings
    assert running["points"] == []  # they come by the stream
    flow = next(each for each in over["trends"] if each["name"] == "feed_flow")
    assert 100 < flow["mean"][-1] < 180  # mL/h on 160 L, not mL/h per litre


def test_live_points_stream_from_where_they_were_asked_for(standing: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        from isogenic.ids import NodeId
        from isogenic.web.live import Streams

        live = standing.node.desk.live[NodeId("GHENT")]
        since = live.units["BR-200"][-3][0]
        stops = iter([False, True])

        async def gone() -> bool:
            return next(stops)

        streams = Streams(closing=lambda: False)
        return [each async for each in streams.points(live, "BR-200", since=since, gone=gone)], streams.open

    events, still_open = as_person(standing, "INA", walk)
    assert events[1].startswith(b"event: points\ndata: [")
    assert events[1].count(b'"at"') == 2
    assert still_open == 0


def test_facts_are_paged_and_searched_and_carry_their_stage(standing: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        first = (await guest.get("/api/facts?limit=7&ledger=aster/GHENT/ASTER-BIO")).json()
        second = (await guest.get("/api/facts", params={"limit": 7, "ledger": "aster/GHENT/ASTER-BIO", "after": first["next"]})).json()
        found = (await guest.get("/api/facts?text=DEV-B1-1")).json()
        own = (await guest.get("/api/facts?kind=network.*")).json()
        return first, second, found, own

    first, second, found, own = as_person(standing, "INA", walk)
    places = [(each["at"], each["position"]) for page in (first, second) for each in page["facts"]]
    assert places == sorted(places, reverse=True)
    assert len(set(places)) == 14
    assert {each["stage"] for each in first["facts"]} == {"witnessed"}
    assert {each["subject"] for each in found["facts"]} == {"DEV-B1-1"}
    assert own["facts"][0]["stage"] == "noted"


def test_deviation_is_disposed_of_by_signature_of_quality(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        body = {"disposition": "accept", "justification": "Pump head exchanged; product unaffected.", **signs("BEN", "disposed")}
        return await guest.post("/api/deviations/DEV-B1-1/disposition", json=body), await guest.post(
            "/api/deviations/DEV-B1-1/disposition", json=body
        )

    first, again = as_person(network, "BEN", walk)
    assert (first.status_code, first.json()["printed_name"], first.json()["meaning"]) == (201, "Benedict Okafor", "disposed")
    assert (again.status_code, again.json()["why"]) == (403, "it is disposed")
    assert kinds(network, "GHENT")[-1] == "quality.deviation_disposed"
    assert kinds(network, "HOUSE")[-1] == "network.person_refused"


def test_a_process_engineer_cannot_dispose_of_a_deviation_and_the_attempt_is_noted(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        body = {"disposition": "accept", "justification": "Fine.", **signs("ADA", "disposed")}
        return await guest.post("/api/deviations/DEV-B1-1/disposition", json=body)

    answer = as_person(network, "ADA", walk)
    assert (answer.status_code, answer.headers["content-type"], answer.json()["title"]) == (403, "application/problem+json", "NotAllowed")
    refused = list(network.node.ledgers["HOUSE"].facts())[-1]
    assert (refused.kind, refused.subject, refused.payload.act) == ("network.person_refused", "ADA", "dispose_deviation")


def test_nothing_is_signed_with_a_wrong_password(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        page = (await guest.get("/api/lots/LOT-A1/release")).json()
        return await guest.post(
            "/api/lots/LOT-A1/release", json={"digest": page["digest"], **signs("QUI", "released"), "password": "not the password"}
        )

    answer = as_person(network, "QUI", walk)
    assert (answer.status_code, answer.json()["title"]) == (401, "NotTrusted")
    assert "quality.lot_released" not in kinds(network, "LEEDS")


def test_lot_is_released_over_the_page_that_was_shown(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        page = (await guest.get("/api/lots/LOT-A1/release")).json()
        other = await guest.post("/api/lots/LOT-A1/release", json={"digest": "0" * 64, **signs("QUI", "released")})
        signed = await guest.post("/api/lots/LOT-A1/release", json={"digest": page["digest"], **signs("QUI", "released")})
        lots = {each["lot"]: each["state"] for each in (await guest.get("/api/lots")).json()}
        return page, other, signed, lots

    page, other, signed, lots = as_person(network, "QUI", walk)
    assert page["allowed"]
    assert [each["text"] for each in page["notes"] if each["severity"] != "good"] == ["nobody has reviewed the audit trail of the batch"]
    assert (other.status_code, other.json()["why"]) == (403, "its record has changed since the page was shown")
    assert (signed.status_code, signed.json()["digest"], signed.json()["meaning"]) == (201, page["digest"], "released")
    assert lots["LOT-A1"] == "released"


def test_lot_is_not_released_while_a_deviation_is_open(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        page = (await guest.get("/api/lots/LOT-B1/release")).json()
        return page, await guest.post("/api/lots/LOT-B1/release", json={"digest": page["digest"], **signs("QUI", "released")})

    page, answer = as_person(network, "QUI", walk)
    assert not page["allowed"]
    assert answer.status_code == 403
    assert "DEV-B1-1 is open (major)" in answer.json()["why"]
    assert kinds(network, "GHENT")[-1] == "quality.release_refused"


def test_lot_with_a_result_outside_its_limit_is_rejected_with_the_reason(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        lots = {each["lot"]: each["failed_results"] for each in (await guest.get("/api/lots")).json()}
        signed = await guest.post("/api/lots/LOT-C1/rejection", json={"reason": "Titre 3.1 g/L is below 3.5 g/L.", **signs("BEN", "rejected")})
        after = {each["lot"]: (each["state"], each["reason"]) for each in (await guest.get("/api/lots")).json()}
        return lots["LOT-C1"], signed.json()["meaning"], after["LOT-C1"]

    assert as_person(network, "BEN", walk) == (1, "rejected", ("rejected", "Titre 3.1 g/L is below 3.5 g/L."))


def test_recipe_takes_effect_by_two_signatures(network: Network) -> None:
    text = document("mab-fb.general.yaml").replace("version: 1", "version: 2", 1)

    async def walk() -> Any:
        app = app_of(network)
        ada, ben = await signed_in(app, "ADA"), await signed_in(app, "BEN")
        said = [(await ada.post("/api/recipes", json={"text": text})).status_code]
        path = "/api/recipes/MAB-FB/2"
        author = {"act": "sign_recipe_as_author", **signs("ADA", "authored")}
        said.append((await ada.post(f"{path}/signatures", json=author)).status_code)
        said.append((await ben.post(f"{path}/publication")).status_code)
        said.append((await ben.post(f"{path}/signatures", json={"act": "approve_recipe", **signs("BEN", "approved")})).status_code)
        published = await ben.post(f"{path}/publication")
        return said, published.status_code, published.json()

    said, status, reached = asyncio.run(walk())
    assert said == [201, 201, 403, 201]
    assert (status, set(reached)) in ((201, {"LEEDS", "GHENT", "PORTO"}), (201, set()))


def test_malformed_recipe_is_refused_with_its_lines(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        return await guest.post("/api/recipes", json={"text": "isogenic: general-recipe/1\nrecipe: 7\n"})

    answer = as_person(network, "ADA", walk)
    assert (answer.status_code, answer.json()["title"]) == (422, "NotValid")
    assert "line" in answer.json()["why"]


def test_dossier_of_a_released_lot_is_a_zip_file(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        early = await guest.get("/api/lots/LOT-A1/dossier")
        page = (await guest.get("/api/lots/LOT-A1/release")).json()
        await guest.post("/api/lots/LOT-A1/release", json={"digest": page["digest"], **signs("QUI", "released")})
        return early, await guest.get("/api/lots/LOT-A1/dossier")

    early, dossier = as_person(network, "QUI", walk)
    assert early.status_code in (200, 403, 404)
    assert (dossier.status_code, dossier.headers["content-type"], dossier.content[:2]) == (200, "application/zip", b"PK")


def test_every_refusal_of_the_door_is_a_problem(standing: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        paths = ("/api/sites/NOWHERE", "/api/batches/nothing", "/api/facts?limit=0", "/api/facts?after=x", "/api/nowhere", "/api/live/GHENT/..")
        answers = [await guest.get(path) for path in paths]
        return [(each.status_code, each.headers["content-type"], sorted(each.json())[:3]) for each in answers]

    found = as_person(standing, "INA", walk)
    assert [each[0] for each in found] == [404, 422, 422, 422, 404, 404]
    assert {each[1] for each in found} == {"application/problem+json"}
    assert found[0][2] == ["detail", "possible", "status"]


def test_executed_batch_record_comes_as_page_pdf_and_text_and_is_listed(network: Network) -> None:
    async def walk(guest: AsyncClient) -> Any:
        forms = [await guest.get(f"/api/batches/BAT-A1/record.{form}") for form in ("html", "pdf", "txt", "docx")]
        return forms, await guest.get("/api/batches/BAT-NONE/record.pdf")

    (page, pdf, text, other), none = as_person(network, "BEN", walk)
    assert (page.status_code, page.headers["content-type"], page.text[:9]) == (200, "text/html; charset=utf-8", "<!doctype")
    assert page.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert (pdf.content[:5], pdf.headers["content-disposition"]) == (b"%PDF-", 'attachment; filename="BAT-A1.record.pdf"')
    assert "Executed batch record BAT-A1" in text.text
    assert (other.status_code, none.status_code) == (404, 404)
    listed = [fact.payload for fact in network.node.journal.ledger.facts() if fact.kind == "records.file_disclosed"]
    assert [(each.what, each.about) for each in listed] == [("batch record", f"BAT-A1.{form}") for form in ("html", "pdf", "txt")]
