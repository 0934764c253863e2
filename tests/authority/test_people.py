"""The directory: one frozen value, read back equal, every key its own."""

from dataclasses import replace

import pytest
from house import DIRECTORY, NOW, of, person
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.authority.people import Directory, DirectoryPublished, Role
from isogenic.clock import Moment
from isogenic.errors import NotFound, NotValid
from isogenic.ids import NodeId, PersonId, SiteId
from isogenic.records import codec
from isogenic.records.facts import Actor, FactRef, decode_fact, encode_fact


def test_directory_travels_as_a_fact_and_reads_back_equal():
    published = DirectoryPublished(NodeId("CONTROL"), DIRECTORY)
    noted = encode_fact(published, ref=FactRef("control/LEEDS", 0), actor=Actor.node("CONTROL"), moment=Moment(NOW))
    assert decode_fact(noted).payload == published
    assert decode_fact(noted).subject == "CONTROL"


def test_two_holders_of_one_key_are_refused():
    twin = replace(of("OLA-BERG"), id=PersonId("TWIN"))
    with pytest.raises(NotValid, match="is there twice"):
        replace(DIRECTORY, people={**DIRECTORY.people, twin.id: twin})


def test_an_entry_under_another_id_is_refused():
    with pytest.raises(NotValid, match="filed under"):
        replace(DIRECTORY, people={PersonId("SOMEBODY"): of("OLA-BERG")})


@pytest.mark.parametrize("name", ["", "  ", " Ola", "Ola\nBerg", "x" * 81])
def test_a_printed_name_that_cannot_be_printed_is_refused(name):
    with pytest.raises(NotValid, match="printed name"):
        replace(of("OLA-BERG"), printed_name=name)


def test_a_person_without_a_role_is_refused():
    with pytest.raises(NotValid, match="at least one role"):
        person("NO-ROLE")


def test_who_is_not_named_is_not_found():
    with pytest.raises(NotFound, match="no person NOBODY"):
        DIRECTORY.person(PersonId("NOBODY"))
    with pytest.raises(NotFound, match="possible now: LEEDS"):
        DIRECTORY.site(SiteId("NOWHERE"))


def test_people_without_sites_work_everywhere():
    assert of("INES-DUARTE").works_at(SiteId("PORTO"))
    assert not of("OLA-BERG").works_at(SiteId("PORTO"))
    assert of("OLA-BERG").works_at(SiteId("LEEDS"))


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8), lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=8), x, max_size=3)
    )
)
def test_a_malformed_directory_is_not_valid_and_nothing_else(data):
    plain = codec.plain(DIRECTORY)
    with pytest.raises(NotValid):
        codec.read(Directory, {**plain, "people": {"OLA-BERG": data}})


def test_roles_are_read_as_words():
    assert [role.words for role in (Role.QUALIFIED_PERSON, Role.OPERATOR)] == ["qualified person", "operator"]
