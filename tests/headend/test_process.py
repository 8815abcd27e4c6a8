"""The program ``osgp collect`` itself, over TCP and TLS against served meters: ended by SIGTERM, and killed again and again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from osgp.headend.store import Store
from osgp.sim.fleet import Fleet, FleetOptions

PROGRAM = "from osgp.cli.main import main; main()"
TABLES = {
    "raw": 'device_id, table_number, "offset", time, digest, content',
    "reading": "device_id, name, time, value, unit",
    "profile_interval": "*",
    "event": "device_id, log, sequence, time, digest, raw",
}


class Site:
    """Meters that are served, and what it takes to collect from them."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
        self.devices = ""
        for number, (device, place) in enumerate(zip(fleet.devices, fleet.addresses())):
            self.environment[f"METER_{number}"] = device.keys["MAK"].secret().hex()
            self.devices += f'[[device]]\nname = "m{number}"\naddress = "{place["mep"]}?baud=115200"\n'
            self.devices += f'key = "env:METER_{number}"\nkey_kind = "MAK"\n'

    def configuration(self, name: str) -> Path:
        """A configuration with a store of its own, ``name``.sqlite."""
        path = self.folder / f"{name}.toml"
        head = f'store = "{name}.sqlite"\nbackoff = 0.2\nretries = 5\n[collection]\nevery = "2s"\nprofiles = [1, 2]\n'
        path.write_text(head + self.devices, "utf-8")
        return path

    @asynccontextmanager
    async def collecting(self, config: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, "collect", str(config), *options, env=self.environment,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def once(self, config: Path) -> None:
        """A round that nobody disturbs."""
        async with self.collecting(config, "--once") as process:
            _, said = await process.communicate()
            assert process.returncode == 0, said.decode()


@asynccontextmanager
async def site(folder: Path, count: int = 2) -> AsyncIterator[Site]:
    """Served meters. Their clocks run, but from the middle of a quarter of an hour, so that no interval ends meanwhile."""
    start = datetime.now(UTC).replace(minute=1, second=0, microsecond=0)
    options = FleetOptions("1ph,3ph", count, 3, optical=None, tls=True, history=1.0, start=start)
    async with Fleet(options) as fleet:
        for device in fleet.devices:
            plug = device.mep_server()
            plug.baud, plug.interval_s = 115200, 0.005
        yield Site(fleet, folder)


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that a store holds, after it was found to be in order."""
    with Store.open(path) as store:
        assert store.check() == []
    with sqlite3.connect(path) as connection:
        names = dict(connection.execute("SELECT id, name FROM device"))
        return {
            table: [(names[row[0]], *row[1:]) for row in connection.execute(f"SELECT {columns} FROM {table}")]
            for table, columns in TABLES.items()
        }


async def kill_many_times(folder: Path, times: int, seed: int) -> None:
    rng = random.Random(seed)
    async with site(folder) as here:
        calm, stormy = here.configuration("calm"), here.configuration("stormy")
        began = asyncio.get_running_loop().time()
        await here.once(calm)
        took = asyncio.get_running_loop().time() - began
        before: dict[str, list[tuple[object, ...]]] = {table: [] for table in TABLES}
        path = folder / "stormy.sqlite"
        for number in range(times):
            if number % 10 == 5:  # an empty store again: else most rounds would find that all is there
                for part in folder.glob("stormy.sqlite*"):
                    part.unlink()
                before = {table: [] for table in TABLES}
            async with here.collecting(stormy) as process:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), rng.uniform(0.3, 1.0) * took)
                assert process.returncode is None, "it ended by itself"
                process.send_signal(signal.SIGKILL)
                assert await process.wait() == -signal.SIGKILL
            after = rows(path)
            for table, earlier in before.items():
                assert set(earlier) <= set(after[table]), f"{table} lost rows"
                assert len(set(after[table])) == len(after[table]), f"{table} holds a row twice"
            before = after
        await here.once(stormy)
        calm_rows, stormy_rows = rows(folder / "calm.sqlite"), rows(path)
        assert sorted(stormy_rows["profile_interval"]) == sorted(calm_rows["profile_interval"])
        assert len(calm_rows["profile_interval"]) > 2 * 96
        assert set(calm_rows["event"]) <= set(stormy_rows["event"])
        history: dict[tuple[object, object], list[tuple[object, ...]]] = {}
        for device, name, *rest in stormy_rows["reading"]:
            history.setdefault((device, name), []).append(tuple(rest))
        assert history.keys() == {row[:2] for row in calm_rows["reading"]}
        for key, readings in history.items():
            assert len({reading[0] for reading in readings}) == len(readings), f"{key} has two values at one time"


def test_killed_again_and_again(tmp_path: Path) -> None:
    asyncio.run(kill_many_times(tmp_path, 2, seed=1))


@pytest.mark.long
def test_killed_fifty_times(tmp_path: Path) -> None:
    asyncio.run(kill_many_times(tmp_path, 50, seed=2))


def test_sigterm_ends_it_in_order(tmp_path: Path) -> None:
    async def life() -> None:
        async with site(tmp_path, 1) as here, here.collecting(here.configuration("store")) as process:
            assert process.stderr is not None
            while line := await process.stderr.readline():
                if b" readings, " in line:
                    break
            process.terminate()
            said = await process.stderr.read()
            assert await process.wait() == 0, said.decode()
            assert b"ending the steps under way" in said

    asyncio.run(life())
    with Store.open(tmp_path / "store.sqlite") as store:
        outcomes = {visit.outcome for visit in store.visits("m0")}
        assert "ok" in outcomes
        assert outcomes <= {"ok", "interrupted"}
        assert store.check() == []
