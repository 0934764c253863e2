"""One standard OPC UA address space for all simulated servers of a process.

Guarantees: every server has its own nodes, so that nothing written to one shows in another;
but the 6,000 nodes of the standard are built once (2 s of CPU) and then copied (0.1 s).
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from asyncua.server.address_space import AttributeValue, NodeData
from asyncua.server.internal_server import InternalServer

__all__ = ["SharedStandard"]

_BUILT: dict[Any, NodeData] = {}


class SharedStandard(InternalServer):
    """An internal server whose standard nodes are copies of those that the process built first."""

    async def load_standard_address_space(self, shelf_file: Path | None = None) -> None:
        if not _BUILT:
            await super().load_standard_address_space(shelf_file)
            for node in list(self.aspace.keys()):  # not a dict: it cannot be walked itself
                _BUILT[node] = _copied(self.aspace[node])
            return
        for node, data in _BUILT.items():
            self.aspace[node] = _copied(data)


def _copied(data: NodeData) -> NodeData:
    twin = NodeData(data.nodeid)
    twin.call = data.call
    twin.references = list(data.references)
    for name, kept in data.attributes.items():
        value: Any = kept.value
        holds_list = value is not None and value.Value is not None and isinstance(value.Value.Value, list)
        twin.attributes[name] = AttributeValue(copy.deepcopy(value) if holds_list else value)  # asyncua changes lists in place
    return twin
