"""The local door: one JSON object a line, for its owner alone; events as they come; nonsense answered in words."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from osgp.concentrator.status_socket import MAX_LINE, Feed, StatusSocket, ask
from osgp.wire.errors import ConfigError, NoAnswer

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets")


def handler(asked: Mapping[str, Any]) -> Any:
    if asked["do"] == "echo":
        return asked["what"]
    raise ConfigError("not that", hint="echo")


async def talk(path: Path, *lines: bytes) -> list[Any]:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=MAX_LINE)
    writer.write(b"".join(lines))
    writer.write_eof()
    found = [json.loads(line) for line in (await reader.read()).splitlines()]
    writer.close()
    return found


async def opened(path: Path, feed: Feed | None = None) -> StatusSocket:
    made = StatusSocket(path, handler, feed or Feed())
    await made.open()
    return made


def test_each_line_is_answered_in_order_and_only_the_owner_may_open_it(tmp_path: Path) -> None:
    async def go() -> None:
        path = tmp_path / "s"
        door = await opened(path)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        lines = b'{"do": "echo", "what": 1}\n', b'{"do": "sing"}\n', b'{"do": "echo"}\n', b'{"do": "echo", "what": 2}\n'
        first, second, third, fourth = await talk(path, *lines)
        assert (first, fourth) == ({"ok": True, "result": 1}, {"ok": True, "result": 2})
        assert second == {"ok": False, "error": "not that", "hint": "echo"}
        assert third["ok"] is False
        await door.close()
        assert not path.exists()

    asyncio.run(go())


@pytest.mark.parametrize(
    "line", [b"\n", b"[]\n", b"{\n", b'"status"\n', b'{"do": 5}\n', b"\xff\xfe\n", b"[" * 5000 + b"\n"]
)
def test_nonsense_is_answered_and_the_next_question_too(tmp_path: Path, line: bytes) -> None:
    async def go() -> None:
        door = await opened(tmp_path / "s")
        first, second = await talk(tmp_path / "s", line, b'{"do": "echo", "what": 7}\n')
        assert first["ok"] is False
        assert second["result"] == 7
        await door.close()

    asyncio.run(go())


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    async def go() -> None:
        door = await opened(tmp_path / "s")
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(b"x" * (MAX_LINE + 65536 * 2))
        answer = json.loads(await reader.readline())
        assert answer["ok"] is False
        writer.close()
        await door.close()

    asyncio.run(go())


def test_events_are_numbered_kept_and_followed(tmp_path: Path) -> None:
    async def go() -> None:
        feed = Feed()
        door = await opened(tmp_path / "s", feed)
        for number in range(1200):
            feed.add("thing", 1.0, what=number)
        (answer,) = await talk(tmp_path / "s", b'{"do": "events", "after": 1198}\n')
        assert [each["what"] for each in answer["result"]] == [1198, 1199]
        (answer,) = await talk(tmp_path / "s", b'{"do": "events"}\n')
        assert len(answer["result"]) == 1000
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(b'{"do": "events", "follow": true, "after": 1199}\n')
        assert json.loads(await reader.readline())["number"] == 1200
        feed.add("thing", 2.0, what="new")
        assert json.loads(await reader.readline())["what"] == "new"
        writer.close()
        await door.close()

    asyncio.run(go())


def test_a_socket_left_by_a_killed_one_is_taken_over_a_live_one_is_not(tmp_path: Path) -> None:
    async def go() -> None:
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        door = await opened(path)
        with pytest.raises(ConfigError):
            await opened(path)
        await door.close()

    asyncio.run(go())


def test_nobody_there_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer):
        ask(tmp_path / "none", "status")
