"""Every parser that takes bytes or text from outside: anything at all ends in a value or in one of the five families.

The table is the list of doors. A new door gets a line here.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isogenic.authority.accounts import read_account
from isogenic.clock import ScaledClock, time_of_text
from isogenic.documents import Document
from isogenic.errors import Refusal
from isogenic.ids import BatchId, PersonId
from isogenic.monitoring.model import Model
from isogenic.plant.documents import load_plant
from isogenic.quality.specifications import read_specification
from isogenic.recipes import conditions
from isogenic.recipes.general import load_general
from isogenic.recipes.site import load_site
from isogenic.records import codec
from isogenic.records.blocks import open_block
from isogenic.records.dossier import parse_keys
from isogenic.records.facts import decode_fact
from isogenic.records.link import Answer, refusal_of
from isogenic.records.merkle import Frontier
from isogenic.records.notes import Signer, VerifyingKey, open_checkpoint
from isogenic.records.sync import Page
from isogenic.records.verify import verify_dossier
from isogenic.sim.faults import parse_fault
from isogenic.sim.replay import replay
from isogenic.units import Quantity

KEY = Signer.from_seed("fuzz", bytes(32)).verifying_key


def a_file(suffix: str, read):
    """A parser of bytes from one that wants a file."""

    def parse(data: bytes):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"any{suffix}"
            path.write_bytes(data)
            return read(path)

    return parse


def replayed(path: Path):
    return asyncio.run(replay(path, batch="1", batch_column="batch_id", out=path.parent / "out"))


BYTES = {
    "a page of facts": Page.from_bytes,
    "a fact": decode_fact,
    "a checkpoint": lambda data: open_checkpoint(data, KEY),
    "a tree frontier": Frontier.from_bytes,
    "JSON": codec.loads,
    "a refusal from the other side": lambda data: refusal_of(Answer(403, data)),
    "a reference model": Model.from_bytes,
    "a reading block": lambda data: open_block(data, "0" * 64),
    "an account": read_account,
    "a plant document": lambda data: load_plant(data, name="any"),
    "a general recipe": load_general,
    "a site recipe": load_site,
    "a specification": read_specification,
    "a dossier": a_file(".zip", verify_dossier),
    "a replay file": a_file(".parquet", replayed),
}
TEXTS = {
    "a key": VerifyingKey.parse,
    "a file of keys": parse_keys,
    "a quantity": Quantity.parse,
    "a condition": conditions.parse,
    "a time": time_of_text,
    "a clock": ScaledClock.parse,
    "a fault": parse_fault,
    "a batch id": BatchId,
    "a person id": PersonId,
    "a document": lambda text: Document.read(text, what="any", kind="isogenic: any/1").done(),
}
SOMEWHAT = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("door", BYTES)
def test_any_bytes_are_read_or_refused(door):
    @SOMEWHAT
    @given(st.binary(max_size=400))
    def knock(data):
        with contextlib.suppress(Refusal):
            BYTES[door](data)

    knock()


@pytest.mark.parametrize("door", TEXTS)
def test_any_text_is_read_or_refused(door):
    @SOMEWHAT
    @given(st.text(max_size=200))
    def knock(text):
        with contextlib.suppress(Refusal):
            TEXTS[door](text)

    knock()
