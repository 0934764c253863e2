"""A recipe from the screen: put forward, signed by two people with what each site does otherwise, published, compared."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import network_story
from network_story import Network
from test_browser import Served, _page, app_of, chromium, password  # noqa: F401 (a fixture)
from test_screens import HOSTILE
from web_setup import signed_in, signs

from isogenic.ids import PersonId, RecipeId, SiteId
from isogenic.network import decisions, site_documents
from isogenic.sim.world import document
from isogenic.web.recipe_views import recipe_view
from isogenic.web.screens.recipe import recipe_screen

NEW = document("mab-fb.general.yaml").replace("version: 1", "version: 2", 1).replace("value: 100 rpm", "value: 110 rpm", 1)
LEEDS_DOCUMENT = document("leeds.site.yaml").replace("version: 1", "version: 2", 1).replace("from: 100 rpm", "from: 110 rpm", 1)


def page_of(network: Network, version: int, person: str) -> str:
    view = recipe_view(network.node, RecipeId("MAB-FB"), version, person=network.world.directory.people[PersonId(person)])
    return str(recipe_screen(view, role="process engineer", now="2026-11-20T14:30:00.000Z", first=True))


def test_the_page_shows_each_sites_differences_with_type_reason_and_signatures(standing: Network) -> None:
    page = page_of(standing, 1, "ADA")
    for words in ("supplier", "Concentration of the stock that is qualified on site.", "100 rpm", "90 rpm", "accepted, for SB-200"):
        assert words in page
    assert page.count("Benedict Okafor") == 4  # under the recipe, and under the document of each of three sites
    assert "<svg" in page
    assert "Sign as" not in page  # both have signed


def test_what_somebody_wrote_into_a_recipe_is_text(network: Network) -> None:
    ada = network.world.directory.people[PersonId("ADA")]
    decisions.submit_recipe(network.node, ada, NEW.replace("title: Harvest", f"title: '{HOSTILE}'"))
    page = page_of(network, 2, "ADA")
    assert "<img" not in page
    assert "&lt;img" in page


def test_a_new_version_shows_whom_it_reaches(network: Network) -> None:
    decisions.submit_recipe(network.node, network.world.directory.people[PersonId("ADA")], NEW)
    page = page_of(network, 2, "ADA")
    assert "2 changes, 1 site affected" in page
    assert page.count("equal by digest") == 2
    assert "declared against 100 rpm, the recipe now says 110 rpm" in page
    assert "Sign as author" in page
    assert "Sign as approver" not in page_of(network, 2, "BEN")  # nobody approves what has no author


def test_site_documents_are_put_forward_and_signed_over_http(network: Network) -> None:
    async def walk() -> Any:
        app = app_of(network)
        ada, ben = await signed_in(app, "ADA"), await signed_in(app, "BEN")
        said = [(await ada.post("/api/recipes", json={"text": NEW})).status_code]
        said.append((await ben.post("/api/site-documents", json={"text": LEEDS_DOCUMENT})).status_code)  # not his to write
        said.append((await ada.post("/api/site-documents", json={"text": LEEDS_DOCUMENT.replace("to: 140", "to: 340")})).status_code)
        said.append((await ada.post("/api/site-documents", json={"text": LEEDS_DOCUMENT})).status_code)
        path = "/api/recipes/MAB-FB/2/sites/LEEDS/signatures"
        author, approver = {"act": "sign_recipe_as_author"}, {"act": "approve_recipe"}
        said.append((await ada.post(path, json={**author, **signs("ADA", "authored")})).status_code)
        said.append((await ada.post(path, json={**approver, **signs("ADA", "approved")})).status_code)
        said.append((await ben.post(path, json={**approver, **signs("BEN", "approved")})).status_code)
        said.append((await ben.post(path.replace("LEEDS", "PORTO"), json={**approver, **signs("BEN", "approved")})).status_code)
        return said

    assert asyncio.run(walk()) == [201, 403, 422, 201, 201, 403, 201, 404]
    found = network.node.state.site_documents[SiteId("LEEDS"), RecipeId("MAB-FB"), 2]
    assert network.node.state.directory is not None
    notes = site_documents.check_site_document(network.node, found, directory=network.node.state.directory)
    assert [note.severity for note in notes] == ["good", "good"]


def test_a_recipe_goes_from_the_screen_to_its_sites(chromium: Any, standing: Network, tmp_path: Path) -> None:  # noqa: F811 (a fixture)
    network = network_story.reopen(standing, tmp_path / "network")
    served = Served(app_of(network, screens=True))
    try:
        page = _page(chromium, served.url, "ADA")
        page.goto(f"{served.url}/recipes")
        page.click("[data-open='#submit-recipe']")
        page.fill("#submit-recipe textarea", NEW)
        with page.expect_navigation():
            page.click("#submit-recipe button[type=submit]")
        page.goto(f"{served.url}/recipes/MAB-FB/2")
        page.click("[data-open='#site-document']")
        page.fill("#site-document textarea", LEEDS_DOCUMENT)
        with page.expect_navigation():
            page.click("#site-document button[type=submit]")
        _sign(page, "#sign_recipe_as_author", "ADA")
        other = _page(chromium, served.url, "BEN")
        other.goto(f"{served.url}/recipes/MAB-FB/2")
        _sign(other, "#approve_recipe", "BEN")
        with other.expect_navigation():
            other.click("text=Publish to LEEDS")
        other.wait_for_selector("text=waiting for the site's answer")
        assert page.complaints + other.complaints == []
    finally:
        network.node.desk.close()
        served.stop()
    told = network.node.state.site(SiteId("LEEDS")).published[RecipeId("MAB-FB"), 2]
    assert told.site_text == LEEDS_DOCUMENT
    assert told.text == NEW


def _sign(page: Any, dialog: str, person: str) -> None:
    page.click(f"[data-open='{dialog}']")
    page.check(f"{dialog} input[name=meaning]")
    page.fill(f"{dialog} input[name=person]", person)
    page.fill(f"{dialog} input[name=password]", password(person))
    with page.expect_navigation():
        page.click(f"{dialog} button[type=submit]")
