"""Simulated modules over a real socket: several in one process, each heard by itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncua.ua
import pytest
from asyncua.client.client import Client
from test_pea import DOSER

from isogenic.clock import ScaledClock, wall_seconds
from isogenic.plant.mtp.states import Command, ServiceState
from isogenic.sim.pea import Lasting, Mode, Pea, Source
from isogenic.sim.pea_server import serve_peas

ua: Any = asyncua.ua
AT = datetime(2026, 11, 23, 8, tzinfo=UTC)


async def written(client: Client, key: str, value: Any, kind: Any) -> None:
    index = await client.get_namespace_index(DOSER.namespace)
    await client.get_node(ua.NodeId(key, index)).write_value(ua.Variant(value, kind))


async def read(client: Client, key: str) -> Any:
    index = await client.get_namespace_index(DOSER.namespace)
    return await client.get_node(ua.NodeId(key, index)).read_value()


async def driven() -> list[Any]:
    clock = ScaledClock(start=AT, origin=wall_seconds(), speed=60.0)
    peas = {name: Pea(DOSER, {"dose": Lasting("seconds")}, mode=Mode.AUTOMATIC, source=Source.EXTERNAL) for name in ("A", "B")}
    seen: list[Any] = []
    async with serve_peas(peas, clock) as endpoints, Client(endpoints["A"]) as client, Client(endpoints["B"]) as other:
        await written(client, "dose.seconds.VExt", 12.0, ua.VariantType.Float)
        await written(client, "dose.ProcedureExt", 1, ua.VariantType.UInt32)
        await written(client, "dose.CommandExt", int(Command.START), ua.VariantType.UInt32)
        seen.append((await read(client, "dose.StateCur"), await read(client, "dose.CommandExt"), await read(other, "dose.StateCur")))
        async with asyncio.timeout(10):
            while await read(client, "dose.StateCur") != ServiceState.COMPLETED:
                await asyncio.sleep(0.02)
        for key, value, kind in (("level.V", 1.0, ua.VariantType.Float), ("dose.ProcedureExt", 1.0, ua.VariantType.Double)):
            with pytest.raises(ua.UaStatusCodeError) as refusal:
                await written(client, key, value, kind)
            seen.append(refusal.type.__name__)
    return seen


def test_a_module_is_driven_over_a_socket_and_its_neighbour_is_not():
    assert asyncio.run(driven()) == [(ServiceState.EXECUTE, 0, ServiceState.IDLE), "BadNotWritable", "BadTypeMismatch"]
