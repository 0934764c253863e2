"""OPC UA servers in a process of their own, whose every value counts up at 1 Hz: what the equipment measurement reads.

python -m bench.module_servers SERVERS SIGNALS
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import asyncua.ua as ua
from asyncua.server.server import Server

from isogenic.sim.standard_space import SharedStandard

PERIOD_S = 1.0


async def main(servers: int, signals: int) -> None:
    spaces, endpoints = [], []
    for _ in range(servers):
        with socket.socket() as asked:
            asked.bind(("127.0.0.1", 0))
            port = asked.getsockname()[1]
        server = Server(iserver=SharedStandard())
        await server.init()
        server.disable_clock()
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
        await server.register_namespace("urn:bench")
        for at in range(signals):
            node = ua.NodeId(f"S{at}", 2)
            variable = await server.nodes.objects.add_variable(node, f"S{at}", 1.0, varianttype=ua.VariantType.Double)
            await variable.set_writable()
        await server.start()
        spaces.append(server.iserver.aspace)
        endpoints.append(f"opc.tcp://127.0.0.1:{port}")
    print(json.dumps(endpoints), flush=True)
    for count in range(2, 1_000_000):
        await asyncio.sleep(PERIOD_S)  # after the last was shown: two changes are never nearer than this
        value = ua.DataValue(ua.Variant(float(count), ua.VariantType.Double))
        for space in spaces:
            for at in range(signals):
                await space.write_attribute_value(ua.NodeId(f"S{at}", 2), ua.AttributeIds.Value, value)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
