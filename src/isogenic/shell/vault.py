"""The vault of personal data, opened by a person on the machine of the control site."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from isogenic import __version__
from isogenic.clock import SystemClock
from isogenic.errors import NotFound
from isogenic.ids import RandomMint
from isogenic.shell.accounts import accounts_of

if TYPE_CHECKING:
    from isogenic.authority.people import Person
    from isogenic.records.notes import Signer
    from isogenic.vault.acts import Keeper

__all__ = ["vault_session"]


@contextlib.contextmanager
def vault_session(folder: Path, *, person: str, password: str) -> Iterator[tuple[Keeper, Person, Signer]]:
    """The vault of a control site that does not run, for a person who signs in: keeper, person, and the key to sign with."""
    from isogenic.network.control import CONTROL
    from isogenic.network.decisions import directory
    from isogenic.network.home import ControlHome
    from isogenic.records.lock import sole_process
    from isogenic.web.control_api import control_door

    home = ControlHome.open(folder)
    with sole_process(folder, who=CONTROL):
        node = home.node(clock=SystemClock(), mint=RandomMint(), software=__version__)
        node.start()
        try:
            if node.keeper is None:
                raise NotFound(f"no vault in {folder}", why="it has no vault key", possible="isogenic vault new")
            door = control_door(node, accounts_of(node, folder))

            async def sign_in() -> tuple[Person, Signer]:
                session = await door.sign_in(person, password)
                return directory(node).person(session.person), await door.signer(session, password)

            yield (node.keeper, *asyncio.run(sign_in()))
        finally:
            node.stop()
