"""Every kind of fact that names a batch, or the lot of one, has a sentence of its own in the executed batch record."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import fields

import isogenic
from isogenic.quality.executed.words import SAYS
from isogenic.records.facts import known_kinds

NOT_OF_A_BATCH = {
    # They carry the name of a batch or lot, and are not about how it was made:
    "materials.received",  # `lot` is the supplier's
}


def about_a_batch() -> set[str]:
    for module in pkgutil.walk_packages(isogenic.__path__, "isogenic."):
        if not module.name.startswith(("isogenic.web", "isogenic.sim", "isogenic.cli", "isogenic.__main__")):
            importlib.import_module(module.name)
    named = {name for name, cls in known_kinds().items() if {"batch", "lot"} & {each.name for each in fields(cls)}}
    return {name for name in named - NOT_OF_A_BATCH if known_kinds()[name].__module__.startswith("isogenic.")}


def test_every_kind_of_fact_about_a_batch_has_a_sentence():
    assert about_a_batch() - SAYS.keys() == set()


def test_no_sentence_is_for_a_kind_that_is_not_there():
    assert SAYS.keys() - known_kinds().keys() == set()
