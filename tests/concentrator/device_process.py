"""Simulated devices of OSGP on LON/IP in a process of their own: python -m tests.concentrator.device_process CONCENTRATOR-PORT COUNT

Prints the port of each device in a line of JSON, then runs until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time

from osgp.ports.lonip_port import LonIpPort
from osgp.sim.pl_device import PowerLineDevice


async def main(concentrator: int, count: int) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    start = time.time() - loop.time()
    ports = []
    for index in range(count):
        device = PowerLineDevice("1ph", seed=1, index=index, start=start, now=loop.time())
        port = await LonIpPort.open(device.node, "127.0.0.1", 0, listeners=[("127.0.0.1", concentrator)])
        ports.append(port)
    sys.stdout.write(json.dumps([port.endpoint[1] for port in ports]) + "\n")
    sys.stdout.flush()
    await stop.wait()
    for port in ports:
        port.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
