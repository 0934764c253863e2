"""A small network whose site in Leeds works for two sponsors, each with a process of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from clear_lines import make_ready
from isogenic.authority.rules import Act
from isogenic.ids import BatchId, LotId, RecipeId, SponsorId
from isogenic.network import decisions
from isogenic.recipes.general import load_general
from isogenic.records.facts import Actor
from isogenic.sim.authorising import authorise
from isogenic.sim.world import document
from isogenic.sites import requests
from small_network import ADA, BEN, GENERAL, LEEDS, OPERATORS, RECIPE, UNITS, Network, signer_of, world_folder

ASTER, BORAGE = "ASTER-BIO", "BORAGE"
OTHER_RECIPE = RecipeId("BRG-FB")
OF_ASTER, OF_BORAGE = LotId("LOT-A1"), LotId("LOT-B1")


def general_of(sponsor: str, recipe: RecipeId) -> str:
    return GENERAL.replace("recipe: MAB-FB", f"recipe: {recipe}\nsponsor: {sponsor}", 1)


def two_sponsors(folder: Path) -> Network:
    """The folders say so: the plant document, and the ledgers that the control site expects."""
    shutil.copytree(world_folder(), folder)
    plant = folder / "LEEDS" / "plant.yaml"
    plant.write_text(plant.read_text().replace("sponsor: ASTER-BIO", "sponsor: ASTER-BIO\nfurther_sponsors: [BORAGE]"))
    settings = folder / "CONTROL" / "node.json"
    said = json.loads(settings.read_text())
    said["audiences"]["LEEDS"].append(BORAGE)
    settings.write_text(json.dumps(said))
    return Network(folder)


async def publish_both(network: Network) -> None:
    """Two recipes, one of each sponsor, signed and published."""
    for sponsor, recipe in ((ASTER, RECIPE), (BORAGE, OTHER_RECIPE)):
        await publish(network, general_of(sponsor, recipe), recipe)


def file_of(general: str, recipe: RecipeId) -> str:
    """The master file of a recipe, of the sponsor that the recipe names."""
    sponsor = load_general(general).sponsor
    text = document("mab-a.master-file.yaml").replace("recipe: MAB-FB", f"recipe: {recipe}")
    return text.replace("master_file: MF-MAB-A", f"master_file: MF-{recipe}" + (f"\nsponsor: {sponsor}" if sponsor else ""))


async def publish(network: Network, text: str, recipe: RecipeId) -> None:
    node = network.control
    node.site_documents[LEEDS] = document("leeds.site.yaml").replace("recipe: MAB-FB", f"recipe: {recipe}")
    decisions.submit_recipe(node, network.person(ADA), text)
    decisions.approve_recipe(node, network.person(ADA), signer_of(ADA), recipe=recipe, version=1, act=Act.SIGN_RECIPE_AS_AUTHOR)
    decisions.approve_recipe(node, network.person(BEN), signer_of(BEN), recipe=recipe, version=1, act=Act.APPROVE_RECIPE)
    decisions.publish_recipe(node, network.person(BEN), recipe=recipe, version=1)
    authorise(node, signer_of, text=file_of(text, recipe))
    await network.carry()
    await network.scan()
    await network.carry()


def start(network: Network, recipe: RecipeId, lot: LotId) -> BatchId:
    node = network.nodes[LEEDS]
    person = requests.person_here(node.state, OPERATORS[LEEDS])
    payloads, _ = requests.start_batch(node.state, person, recipe=recipe, version=1, unit=UNITS[LEEDS], lot=lot, mint=node.mint, now=node.clock.now())
    node.note(payloads, actor=Actor(str(person.id), "operator", "password"))
    return node.state.lots[lot].batch


async def run_and_abort(network: Network, recipe: RecipeId, lot: LotId) -> BatchId:
    """A batch that runs for some hours and is given up, so that the vessel is free for the next sponsor."""
    node = network.nodes[LEEDS]
    if node.state.lines:  # somebody's batch was on it before
        await make_ready(network, lot, serial=str(lot)[-2:], recipe=recipe, sponsor=SponsorId(BORAGE if recipe == OTHER_RECIPE else ASTER))
    batch = start(network, recipe, lot)
    for _ in range(3):
        await network.scan(hours=2)
        network.answer_all(batch)
    person = requests.person_here(node.state, OPERATORS[LEEDS])
    node.note(requests.command_batch(node.state, person, batch=batch, command="abort", why="the vessel is needed"))  # type: ignore[arg-type]
    while not node.state.batches[batch].closed:
        await network.scan(hours=1)
    await network.scan(hours=1)
    return batch
