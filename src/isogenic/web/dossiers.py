"""The dossier of a lot, as a file to download."""

from __future__ import annotations

from collections.abc import Callable

from isogenic.ids import LotId
from isogenic.network.control import ControlNode
from isogenic.network.dossiers import dossier_bytes

__all__ = ["DossierBuilder", "dossier_of"]

DossierBuilder = Callable[[ControlNode, LotId], bytes]


def dossier_of(node: ControlNode, lot: LotId) -> bytes:
    """The bytes of the zip file."""
    return dossier_bytes(node, lot)
