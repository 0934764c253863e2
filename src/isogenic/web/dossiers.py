"""The dossier of a lot, as a file to download."""

from __future__ import annotations

from collections.abc import Callable

from isogenic.errors import NotReachable
from isogenic.ids import LotId
from isogenic.network.control import ControlNode

__all__ = ["DossierBuilder", "dossier_of"]

DossierBuilder = Callable[[ControlNode, LotId], bytes]


def dossier_of(node: ControlNode, lot: LotId) -> bytes:
    """The bytes of the zip file."""
    raise NotReachable(f"no dossier of {lot}", why="this node was started without a way to make one")
