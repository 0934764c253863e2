"""The chapters of the story, one function each: what people do, and what must then be seen.

Each gives its outcome as a sentence, or raises `NotTold` with what it saw instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from isogenic.clock import text_of_time
from isogenic.ids import PersonId
from isogenic.records import codec
from isogenic.sim.authorising import COMMITMENTS
from isogenic.sim.story.lines import inoculum_lot, make_ready, medium_lot, publish_matrix
from isogenic.sim.story.stage import BATCH_DAYS, FOUL_SITE, POLL_S, NotTold, Person, Site, Story, until
from isogenic.sim.world import SITES, document

__all__ = ["run_batch", "tell_dossier", "tell_fouling", "tell_link", "tell_recipe", "tell_release"]

CUT_SITE, CUT_FROM_H, CUT_UNTIL_H = SITES[1], 110.0, 190.0  # GHENT, in hours of culture
RECIPE, VERSION = "MAB-FB", 1
COMPLETE = "complete"
SETTLED_S = 15.0  # wall seconds for the facts of a lot whose equipment others struck to arrive: what stands against it then, stands
PATIENCE_S = 600.0  # wall seconds to wait for something that a whole batch leads to


async def tell_recipe(story: Story) -> str:
    """Two people sign version 1; each site verifies it and derives its own."""
    text = document("mab-fb.general.yaml")
    ada, ben = await story.sign_in(PersonId("ADA"), story.screens), await story.sign_in(PersonId("BEN"), story.screens)
    await publish_matrix(ada, ben)
    await ada.post("/api/recipes", {"text": text})
    path = f"/api/recipes/{RECIPE}/{VERSION}"
    await ada.post(f"{path}/signatures", {"act": "sign_recipe_as_author", **ada.signs("authored")})
    try:
        await ada.post(f"{path}/signatures", {"act": "approve_recipe", **ada.signs("approved")})
    except NotTold:
        pass  # as it must be: nobody approves what they wrote
    else:
        raise NotTold("the author of the recipe could approve it")
    await ben.post(f"{path}/signatures", {"act": "approve_recipe", **ben.signs("approved")})
    await ben.post(f"{path}/publication", {})
    await authorise(story, ben)

    async def accepted() -> bool:
        line = next(each for each in await ada.get("/api/recipes") if (each["recipe"], each["version"]) == (RECIPE, VERSION))
        return all(line["sites"].get(site, "").startswith("accepted") for site in story.where)

    await until(accepted, what="every site to accept the recipe")
    assert story.world is not None
    units = ", ".join(f"{site} ({unit.make}, {unit.working_volume})" for site, plant in story.world.plants.items() for unit in plant.units.values())
    return f"{RECIPE} version {VERSION} signed by Ada Lindqvist and Benedict Okafor; derived for {units}"


async def authorise(story: Story, ben: Person) -> None:
    """The master file is signed and published, each site's licence is applied for and activated, operators are trained."""
    ria, qui = await story.sign_in(PersonId("RIA"), story.screens), await story.sign_in(PersonId("QUI"), story.screens)
    said = await ria.post("/api/master-files", {"text": document("mab-a.master-file.yaml")})
    path = f"/api/master-files/{said['master_file']}/{said['version']}"
    await ria.post(f"{path}/signatures", {"act": "author_master_file", **ria.signs("file authored")})
    await ben.post(f"{path}/signatures", {"act": "approve_master_file", **ben.signs("file approved")})
    await ben.post(f"{path}/publication", {})
    for name in COMMITMENTS:
        await ria.post("/api/commitments", {"text": document(name), **ria.signs("commitments stated")})
    for site in story.where:
        ends = text_of_time(story.clock.now().at + timedelta(days=730))
        trained = {"competence": "fed_batch_culture", "until": ends, "basis": "training file TR-014"}
        await ben.post(f"/api/people/{story.sites[site].operator}/competences", {**trained, **ben.signs("competence granted")})
    for site in story.where:
        licence = f"LIC-{site}-MAB-A"
        about = {"licence": licence, "site": str(site), "master_file": said["master_file"], "reference": "application 2026", "why": "it is equipped"}
        await ria.post("/api/licences", {**about, **ria.signs("licence applied for")})
        for person, command, meaning in ((ben, "qualify", "site qualified"), (qui, "activate", "licence activated")):
            await person.post(f"/api/licences/{licence}/commands", {"command": command, "why": "as qualified", **person.signs(meaning)})

    async def taken() -> bool:
        """Each site's answer to the master file is here, and it has its lease."""
        page = await ria.get("/api/authority")
        return all(each["lease_taken"] for each in page["licences"])

    await until(taken, what="every site to have its lease")


async def run_batch(story: Story, site: Site, tell: Callable[[float, str], None]) -> None:
    """An operator makes the line ready, starts a batch and answers what it asks, until it is over; `tell`: its age in days, and what it does."""
    operator = await story.sign_in(site.operator, site.api)
    await make_ready(story, site, operator, recipe=RECIPE, version=VERSION)
    await operator.post("/api/batches", {"recipe": RECIPE, "version": VERSION, "unit": site.unit, "lot": site.lot})
    answers = {"number": "96.5", "confirm": "yes", "text": medium_lot(site)}
    while not site.closed:
        for asked in await operator.get("/api/prompts"):
            text = inoculum_lot(site) if "inoculum" in asked["prompt"].lower() else answers[asked["kind"]]
            text = answers["number"] if asked["kind"] == "number" else text
            with contextlib.suppress(NotTold):  # somebody at the tasks page was quicker
                await operator.post(f"/api/batches/{asked['batch']}/prompts/{asked['prompt']}", {"answer": text})
        batches = await operator.get("/api/batches")
        line = next(each for each in batches if each["lot"] == site.lot)
        site.batch, site.phase, site.closed = line["batch"], line["phase"] or "", line["closed_at"] is not None
        detail = await operator.get(f"/api/batches/{site.batch}")
        site.hours = _culture_hours(detail, story.clock.now().at)
        tell(site.hours / 24, site.phase or "over")
        if site.closed:
            site.ended = line["state"]
        await asyncio.sleep(POLL_S)
    if site.ended != COMPLETE and not await story.struck(site.id):
        raise NotTold(f"the batch of {site.id} ended {site.ended}")
    tell(BATCH_DAYS if site.ended == COMPLETE else site.hours / 24, "harvested" if site.ended == COMPLETE else f"ended {site.ended}")


def _culture_hours(detail: dict[str, Any], now: datetime) -> float:
    """Hours since the culture began, for the progress bar."""
    started = next((each["started_at"] for each in detail["phases"] if each["phase"] == "growth"), None)
    return (now - datetime.fromisoformat(started)).total_seconds() / 3600 if started else 0.0


async def tell_link(story: Story) -> str:
    """Cut one site's link in the middle of its batch, mend it, and find nothing missing."""
    site = story.sites[CUT_SITE]
    operator, ada = await story.sign_in(site.operator, site.api), await story.sign_in(PersonId("ADA"), story.screens)

    async def old_enough(hours: float) -> bool:
        return site.hours >= hours

    await until(lambda: old_enough(CUT_FROM_H), what=f"{site.id} to be {CUT_FROM_H:.0f} h into its batch", seconds=PATIENCE_S)
    site.line.cut()
    before = await _noted(operator)
    await until(lambda: old_enough(CUT_UNTIL_H), what=f"{site.id} to go on without a link", seconds=PATIENCE_S)
    after = await _noted(operator)
    behind = await ada.get(f"/api/sites/{site.id}")
    if after <= before:
        raise NotTold(f"{site.id} noted nothing while its link was down")
    if sum(each["held"] for each in behind["ledgers"]) >= after:
        raise NotTold("the cut line still carried facts")
    site.line.mend()

    async def caught_up() -> str:
        ledgers = (await ada.get(f"/api/sites/{site.id}"))["ledgers"]
        whole = all(each["complete"] for each in ledgers) and sum(each["held"] for each in ledgers) >= after
        return "; ".join(each["words"] for each in ledgers if not each["ledger"].endswith("HOUSE")) if whole else ""

    said = await until(caught_up, what=f"the facts of {site.id} after the link returned")
    return f"{site.id} ran {CUT_UNTIL_H - CUT_FROM_H:.0f} h without a link and noted {after - before} facts; then {said}"


async def _noted(operator: Person) -> int:
    return sum(each["noted"] for each in (await operator.get("/api/site"))["ledgers"])


async def tell_fouling(story: Story) -> str:
    """Wait for the deviation of the fouling pump at the control site, while the batch still runs."""
    ben, site = await story.sign_in(PersonId("BEN"), story.screens), story.sites[FOUL_SITE]

    async def deviations() -> list[dict[str, Any]]:
        return [each for each in await ben.get("/api/deviations") if each["lot"] == site.lot and each["origin"] == "monitor"]

    async def deviation() -> dict[str, Any] | None:
        feed = [each for each in await deviations() if each["evidence"].get("leading", "").startswith("feed_")]
        if not feed and site.closed:
            raise _Over
        return feed[0] if feed else None

    try:
        found = await until(deviation, what="the deviation of the fouling pump", seconds=PATIENCE_S)
    except _Over:
        struck, seen = await story.struck(site.id), [each["statement"] for each in await deviations()]
        if not struck:
            raise NotTold("the batch was over, and no deviation of the fouling pump was seen") from None
        return f"at {site.id} it was another story: {'; '.join(struck)}. The monitor says: {_short('; '.join(seen), 300) or 'nothing'}"
    if site.closed:
        raise NotTold("the deviation was seen only after the batch was over")
    return f"{found['deviation']} at {found['site']}, {float(found['evidence']['maturity_h']):.0f} h into the batch: {found['statement']}"


class _Over(Exception):
    """The batch is over, and what was waited for did not come."""


async def report_results(story: Story) -> None:
    """The analyst reports what the laboratory measured, at each site."""
    assert story.world is not None
    for site in story.sites.values():
        if site.ended != COMPLETE:
            continue  # nothing was harvested
        folder = story.world.home(site.id) / "samples"

        async def measured(folder: Path = folder) -> Path | None:
            return next(iter(sorted(folder.glob("*.json"))), None)

        sample = codec.loads((await until(measured, what=f"the sample of {site.id}")).read_bytes(), what="a sample")
        ana = await story.sign_in(PersonId("ANA"), site.api)
        for each in sample["results"]:
            await ana.post("/api/results", {"sample": f"SMP-{site.id[:2]}-{story.seed:03d}", "lot": site.lot, **each})


async def tell_release(story: Story) -> str:
    """Release what may be released; refuse, dispose of, and reject what may not, and say what was done to it."""
    await report_results(story)
    qui, ben = await story.sign_in(PersonId("QUI"), story.screens), await story.sign_in(PersonId("BEN"), story.screens)
    refused = [text for site in story.sites.values() if (text := await _decided(story, site, qui, ben))]
    released = [site.lot for site in story.sites.values() if site.released]
    states = {each["lot"]: each["state"] for each in await qui.get("/api/lots")}
    wanted = {site.lot: "released" if site.released else "rejected" for site in story.sites.values()}
    if {lot: states.get(lot) for lot in wanted} != wanted:
        raise NotTold(f"the lots stand as {states}")
    said = f"{' and '.join(released)} released by Quillon Marsh" if released else "no lot was released"
    return "; ".join([said, *refused])


async def _decided(story: Story, site: Site, qui: Person, ben: Person) -> str:
    """The lot is released, and nothing is said; or it is refused, then rejected, and why."""
    struck = await story.struck(site.id)
    poor = site.id == FOUL_SITE

    async def settled() -> dict[str, Any] | None:
        page = await qui.get(f"/api/lots/{site.lot}/release")
        against = _reasons(page)
        only_deviations = bool(against) and all("is open" in each for each in against)
        return page if (page["allowed"] and (struck or not poor)) or (only_deviations and (struck or poor)) else None

    try:
        page = await until(settled, what=f"the record of {site.lot} to be complete", seconds=SETTLED_S if struck else 30.0)
    except NotTold:
        page = await qui.get(f"/api/lots/{site.lot}/release")
        if not struck:
            raise NotTold(f"{site.lot} cannot be released: {'; '.join(_reasons(page))}") from None
    if page["allowed"]:
        await qui.post(f"/api/lots/{site.lot}/release", {"digest": page["digest"], **qui.signs("released")})
        site.released = True
        return ""
    try:
        await qui.post(f"/api/lots/{site.lot}/release", {"digest": page["digest"], **qui.signs("released")})
    except NotTold as refusal:
        refused = str(refusal)
    else:
        raise NotTold(f"{site.lot} was released although {'; '.join(_reasons(page))}")
    about = "The feed pump fouled and the culture was starved" if poor and not struck else "The equipment was struck while the batch ran"
    for each in await ben.get("/api/deviations"):
        if each["lot"] == site.lot and each["state"] == "open":
            body = {"disposition": "reject", "justification": f"{about}; the lot is not made as approved.", **ben.signs("disposed")}
            await ben.post(f"/api/deviations/{each['deviation']}/disposition", body)
    reason = "Feed pump fouled; deviation disposed of as reject." if poor and not struck else f"{about}; not fit for release."
    await qui.post(f"/api/lots/{site.lot}/rejection", {"reason": reason, **qui.signs("rejected")})
    why = f" (at {site.id} {'; '.join(struck)})" if struck else ""
    return f"{site.lot} refused, then rejected{why}: {refused}"


def _reasons(page: dict[str, Any]) -> list[str]:
    return [each["text"] for each in page["notes"] if each["severity"] == "stop"]


def _short(text: str, most: int = 140) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


async def tell_dossier(story: Story) -> str:
    """Export a lot's dossier, a released one's where there is one, verify it with public keys only, change one byte and see it named."""
    assert story.world is not None
    site = next((each for each in story.sites.values() if each.released), story.sites[SITES[0]])
    qui = await story.sign_in(PersonId("QUI"), story.screens)
    folder = story.folder / "dossiers"
    folder.mkdir(exist_ok=True)
    path, keys = folder / f"{site.lot}.zip", folder / "network-keys.txt"
    await asyncio.to_thread(keys.write_text, story.world.keys_text())  # from where the network was made, not from the dossier

    async def witnessed() -> bytes | None:
        data: bytes = await qui.get(f"/api/lots/{site.lot}/dossier")
        return data

    await asyncio.to_thread(path.write_bytes, await until(witnessed, what="the dossier"))
    code, said = await _verify(path, keys)
    if code != 0:
        raise NotTold(f"the dossier does not verify: {said}")
    forged = folder / f"{site.lot}-forged"
    await asyncio.to_thread(_forge, path, forged)
    code, named = await _verify(forged, keys)
    if code != 4:
        raise NotTold(f"a changed byte passed unnoticed: {named}")
    counts = next((line for line in _paragraphs(said) if line.startswith("Checked:")), "")
    return f"{path.name} verified with public keys only. {counts} With one byte changed: {_place(named)}"


def _paragraphs(text: str) -> list[str]:
    return [" ".join(each.split()) for each in text.split("\n\n") if each.strip()]


def _place(text: str) -> str:
    """Where `isogenic verify` says that something was changed: the fact, if it names one."""
    verdict = _paragraphs(text)[0] if _paragraphs(text) else ""
    places = [each.partition("] ")[2].strip() for each in verdict.split(" [")[1:]]
    return _short(next((each for each in places if "fact" in each and "line" in each), verdict), 200)


def _forge(path: Path, folder: Path) -> None:
    """Unpack a dossier and change one byte in the middle of its largest file of facts."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    target = max((each for each in folder.rglob("*") if each.is_file() and each.suffix == ".jsonl"), key=lambda each: each.stat().st_size)
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(bytes(data))


async def _verify(path: Path, keys: Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "isogenic.cli",
        "verify",
        str(path),
        "--keys",
        str(keys),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return int(process.returncode or 0), out.decode(errors="replace")
