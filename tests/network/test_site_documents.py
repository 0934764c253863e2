"""What a site does otherwise is put forward, signed by two people, and goes out with its recipe or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from isogenic.authority.rules import Act
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import SiteId
from isogenic.network import decisions, site_documents
from isogenic.recipes.approval import RecipePublished, SiteDocumentApproved
from isogenic.sim.world import document
from small_network import ADA, BEN, GENERAL, LEEDS, RECIPE, Network, signer_of

DOCUMENT = document("leeds.site.yaml")
AUTHOR, APPROVER = Act.SIGN_RECIPE_AS_AUTHOR, Act.APPROVE_RECIPE


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path / "net", sites=())
    decisions.submit_recipe(network.control, network.person(ADA), GENERAL)
    yield network
    network.close_control()


def sign_recipe(net: Network) -> None:
    for person, act in ((ADA, AUTHOR), (BEN, APPROVER)):
        decisions.approve_recipe(net.control, net.person(person), signer_of(person), recipe=RECIPE, version=1, act=act)


def test_who_signs_the_recipe_signs_each_sites_document_by_itself(net: Network) -> None:
    sign_recipe(net)
    submitted = net.control.state.site_documents
    assert {site: text.text for (site, _, _), text in submitted.items()} == net.control.site_documents
    for each in submitted.values():
        signed = [approved.signature for approved in net.control.state.site_approvals[each.digest]]
        assert [(one.person, one.meaning, one.digest) for one in signed] == [(ADA, "authored", each.digest), (BEN, "approved", each.digest)]


def test_a_document_that_changed_after_signing_is_not_published(net: Network) -> None:
    sign_recipe(net)
    changed = DOCUMENT.replace("to: 140 rpm", "to: 150 rpm")
    site_documents.submit_site_document(net.control, net.person(ADA), changed)
    reached = decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1)
    assert LEEDS not in reached and len(reached) == 2
    with pytest.raises(NotAllowed, match="LEEDS: nobody who may has signed the recipe as authored or as approved"):
        decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1)
    for person, act in ((ADA, AUTHOR), (BEN, APPROVER)):
        site_documents.approve_site_document(net.control, net.person(person), signer_of(person), site=LEEDS, recipe=RECIPE, version=1, act=act)
    assert decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1) == [LEEDS]
    told = [each.payload for each in net.control.state.announced if isinstance(each.payload, RecipePublished) and each.payload.site == LEEDS]
    assert [each.site_text for each in told] == [changed]


def test_one_signature_under_a_document_is_not_enough(net: Network) -> None:
    sign_recipe(net)
    site_documents.submit_site_document(net.control, net.person(ADA), DOCUMENT + "# clearer\n")
    site_documents.approve_site_document(net.control, net.person(ADA), signer_of(ADA), site=LEEDS, recipe=RECIPE, version=1, act=AUTHOR)
    assert LEEDS not in decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1)
    with pytest.raises(NotAllowed, match="again"):
        site_documents.approve_site_document(net.control, net.person(ADA), signer_of(ADA), site=LEEDS, recipe=RECIPE, version=1, act=AUTHOR)


def test_who_wrote_a_document_does_not_approve_it(net: Network) -> None:
    site_documents.approve_site_document(net.control, net.person(ADA), signer_of(ADA), site=LEEDS, recipe=RECIPE, version=1, act=AUTHOR)
    with pytest.raises(NotAllowed):
        site_documents.approve_site_document(net.control, net.person(ADA), signer_of(ADA), site=LEEDS, recipe=RECIPE, version=1, act=APPROVER)


def test_a_difference_without_a_type_is_not_published(net: Network) -> None:
    site_documents.submit_site_document(net.control, net.person(ADA), DOCUMENT.replace("    type: scale\n", ""))
    sign_recipe(net)
    assert LEEDS not in decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1)
    with pytest.raises(NotAllowed, match="parameter agitation differs, and its type is not said"):
        decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1)


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        ("to: 140 rpm", "to: 240 rpm", NotValid),
        ("version: 1", "version: 2", NotFound),
        ("site: LEEDS", "site: OSLO", NotFound),
        ("parameter: agitation", "parameter: agitatio", NotValid),
    ],
)
def test_what_does_not_derive_is_not_put_forward(net: Network, old: str, new: str, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        site_documents.submit_site_document(net.control, net.person(ADA), DOCUMENT.replace(old, new))
    assert net.control.state.site_documents == {}


def test_a_published_document_is_not_replaced(net: Network) -> None:
    sign_recipe(net)
    decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1)
    with pytest.raises(NotAllowed, match="published there with another document"):
        site_documents.submit_site_document(net.control, net.person(ADA), DOCUMENT + "# another\n")


def test_the_signatures_reach_the_site_before_the_recipe(net: Network) -> None:
    sign_recipe(net)
    decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1)
    ledger = net.control.ledgers[str(LEEDS)]
    kinds = [type(fact.payload) for fact in ledger.facts() if isinstance(fact.payload, SiteDocumentApproved | RecipePublished)]
    assert kinds == [SiteDocumentApproved, SiteDocumentApproved, RecipePublished]
    assert SiteId("GHENT") not in {fact.payload.site for fact in ledger.facts() if isinstance(fact.payload, SiteDocumentApproved)}
