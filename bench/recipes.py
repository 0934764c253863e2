"""A general recipe of 200 parameters changes in one of them; 100 sites derive their master recipes anew.

    python -m bench.recipes

Timed is what follows from the changed text: reading it, then for each of 100 sites the site recipe
with its own declared differences, the master recipe for the site's plant with its digest, the
comparison with the general recipe, and the digest of what reaches it. Site and plant documents did
not change and are read before. Beside it, in the same run, what reading the text alone takes.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from time import perf_counter, process_time

from bench.report import Row
from isogenic.checks import stops
from isogenic.ids import SiteId
from isogenic.plant.documents import load_plant
from isogenic.plant.model import SitePlant
from isogenic.recipes.affected import affected, reach_digest
from isogenic.recipes.comparison import check_every_difference_is_declared
from isogenic.recipes.derive import derive_master
from isogenic.recipes.general import load_general
from isogenic.recipes.model import GeneralRecipe, SiteDocument
from isogenic.recipes.roles import slices
from isogenic.recipes.site import derive_site, load_site
from isogenic.sim.world import document

PARAMETERS, SITES, RUNS, TARGET_S = 200, 100, 5, 1.0
PHASES = 40  # of five parameters each


def general_text(*, changed: int = 0) -> str:
    """40 phases, each with four set-points and a duration of its own; `changed` tells texts apart."""
    lines = ["isogenic: general-recipe/1", "recipe: BENCH", "version: 1", "product: MAB-A", "title: Bench", "equipment_class: stirred_bioreactor"]
    lines.append("formula:")
    kinds = (("temperature", "37 degC", "36 degC", "38 degC"), ("ph", "7 pH", "6.9 pH", "7.1 pH"), ("dissolved_oxygen", "40 %", "30 %", "60 %"))
    for at in range(PHASES):
        for name, value, low, high in kinds:
            lines.append(f"  {name}_{at}: {{title: {name} {at}, value: {value}, low: {low}, high: {high}, critical: true}}")
        lines.append(f"  agitation_{at}: {{title: Agitation {at}, value: {100 + changed if at == 0 else 100} rpm, low: 60 rpm, high: 200 rpm}}")
        lines.append(f"  time_{at}: {{title: Time {at}, value: 3 h, low: 1 h, high: 9 h}}")
    lines += ["needs:", "  temperature: {low: 36 degC, high: 38 degC}", "procedure:", "  - unit_procedure: all", "    operations:"]
    lines += ["      - operation: one", "        phases:"]
    for at in range(PHASES):
        lines += [f"          - phase: phase_{at}", f"            title: Phase {at}"]
        told = ", ".join(f'{name}_sp: "@{name}_{at}"' for name in ("temperature", "ph", "dissolved_oxygen", "agitation"))
        lines += [f"            setpoints: {{{told}}}", f"            until: elapsed >= @time_{at}"]
    return "\n".join(lines) + "\n"


def site_text(site: SiteId, at: int) -> str:
    """Each site sets two parameters otherwise; every fourth one the parameter that changes."""
    other = "agitation_0" if at % 4 == 0 else f"agitation_{1 + at % (PHASES - 1)}"
    return (
        f"isogenic: site-recipe/1\nsite: {site}\nrecipe: BENCH\nversion: 1\ndifferences:\n"
        f"  - {{parameter: {other}, type: equipment, from: 100 rpm, to: {90 + at % 20} rpm, why: Another make.}}\n"
        f"  - {{parameter: ph_{at % PHASES}, type: method, from: 7 pH, to: 7.02 pH, why: Another probe.}}\n"
    )


def the_sites() -> tuple[list[SiteDocument], list[SitePlant]]:
    """100 documents, and as many plants, each the like of one of the demonstration's."""
    plant = load_plant(document("leeds.plant.yaml"), name="leeds")
    names = [SiteId(f"S{at:03d}") for at in range(SITES)]
    return [load_site(site_text(name, at)) for at, name in enumerate(names)], [replace(plant, site=name) for name in names]


def derive_all(general: GeneralRecipe, documents: list[SiteDocument], plants: list[SitePlant]) -> list[str]:
    """Every site's master recipe: derived, compared, its reach digested."""
    digests = []
    for site, plant in zip(documents, plants, strict=True):
        derived = derive_site(general, site)
        master = derive_master(derived, plant)
        assert not stops(check_every_difference_is_declared(general, site, master))
        digests += [master.digest, *(reach_digest(each) for each in slices(derived))]
    return digests


def run() -> list[Row]:
    documents, plants = the_sites()
    first = load_general(general_text())
    derive_all(first, documents, plants)  # imports and units
    reading, whole, listing, working = [], [], [], []
    for turn in range(1, RUNS + 1):
        text = general_text(changed=turn)
        # A new version replaces what each difference is declared against: here it is a parameter that a quarter of the sites declare.
        renewed = [_renewed(each, f"{100 + turn} rpm") for each in documents]
        begun, worked = perf_counter(), process_time()
        new = load_general(text)
        read = perf_counter()
        derive_all(new, renewed, plants)
        whole.append(perf_counter() - begun)
        working.append(process_time() - worked)
        reading.append(read - begun)
        begun = perf_counter()
        found = affected(first, new, documents)
        listing.append(perf_counter() - begun)
        assert (len(found), sum(each.affected for each in found)) == (SITES, SITES * 3 // 4)
    took, read_s = median(whole), median(reading)
    what = f"{SITES} master recipes, general one of {len(first.formula)} parameters"
    rest, listed = took - read_s, median(listing)
    return [
        Row(
            what,
            f"{took:.2f} s, {median(working):.2f} s of CPU",
            f"reading the changed text alone: {read_s:.2f} s",
            took / read_s,
            f"{TARGET_S:g} s",
            took <= TARGET_S,
        ),
        Row("which of them a change reaches", f"{listed:.2f} s", f"deriving them: {rest:.2f} s", listed / rest, "", None),
    ]


def _renewed(document: SiteDocument, was: str) -> SiteDocument:
    """The document as its site writes it for the new version, where it sets the changed parameter itself."""
    return replace(document, differences=tuple(replace(each, was=was) if each.name == "agitation_0" else each for each in document.differences))


if __name__ == "__main__":
    for row in run():
        print(row)
