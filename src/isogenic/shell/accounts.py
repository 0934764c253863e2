"""Where the accounts of a control site's people are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isogenic.network.control import ControlNode
    from isogenic.web.signin import AccountFolder

__all__ = ["accounts_of"]


def accounts_of(node: ControlNode, folder: Path) -> AccountFolder:
    """The accounts of the control site: where several processes serve it, wrong passwords count for all of them together."""
    from isogenic.web.shared_accounts import SharedAccounts
    from isogenic.web.signin import AccountFolder

    if node.processes is None:
        return AccountFolder(folder / "accounts")
    return SharedAccounts(folder / "accounts", node.processes.database)
