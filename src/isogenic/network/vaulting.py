"""The vault of a control site: opened from its folder, its facts noted in the house.

Guarantees: where there is no vault key, there is no vault, and nothing of one is made.
Leaves to others: everything that the vault does (vault).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from isogenic.authority.accounts import Entropy
from isogenic.clock import Clock
from isogenic.ids import Mint, NodeId
from isogenic.network.control import CONTROL, ControlNode
from isogenic.records.facts import Actor, Payload
from isogenic.vault.acts import Keeper
from isogenic.vault.keys import KEY_FILE, NEXT_FILE, KeyFolder
from isogenic.vault.store import Vault

__all__ = ["KEYS", "RECORDS", "open_vault"]

RECORDS, KEYS = "vault", "vault-keys"  # two folders: a copy of the first alone opens nothing


def open_vault(node: ControlNode, folder: Path, *, entropy: Entropy, clock: Clock, mint: Mint, passphrase: str = "") -> Keeper | None:
    """The keeper of the vault in a control site's folder; None where there is none."""
    keys = folder / KEYS
    if not (keys / KEY_FILE).exists() and not (keys / NEXT_FILE).exists():
        return None
    vault = Vault(folder / RECORDS, KeyFolder(keys, entropy=entropy, passphrase=passphrase), entropy=entropy)

    def note(payloads: Sequence[Payload], actor: Actor | None) -> object:
        return node.note(payloads, actor=actor)

    return Keeper(vault, node=NodeId(CONTROL), note=note, clock=clock, mint=mint)
