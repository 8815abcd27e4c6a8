"""``osgp.open``: keys and their kinds, legacy mode, the sequence number, options, saved images."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import osgp
from osgp.node.server import Port
from osgp.tables.bt.bt23 import BT23
from osgp.tables.services import AuthenticationFailed
from osgp.wire.errors import ConfigError, LinkError, NoAnswer, NoKey, PortClosed, SecurityError
from tests.access.doors import mep_server
from tests.access.world import MAK, MBK, MK, World
from tests.ports.site import OPTIONS, Site, on_site, until


@pytest.fixture(params=OPTIONS)
def scheme(request: pytest.FixtureRequest) -> str:
    return request.param  # type: ignore[no-any-return]  # pytest's is untyped


# ---- keys
def test_a_known_default_key_is_refused(scheme: str) -> None:
    default = b"\x01" * (20 if scheme.startswith("optical") else 16)

    async def test(site: Site) -> None:
        with pytest.raises(SecurityError, match="default") as caught:
            async with site.open(scheme, key=default, insecure_lab=False):
                raise AssertionError
        assert "lab" in caught.value.hint
        assert default.hex() not in str(caught.value) + caught.value.hint
        assert site.machines == []

    on_site(test)


def test_a_laboratory_may_use_default_keys() -> None:
    async def test(site: Site) -> None:
        with pytest.raises(NoKey):  # it is tried, and the meter has another one
            async with site.open("mep+tls+tcp", key=b"\x01" * 16, insecure_lab=True) as device:
                await device.raw(1)

    on_site(test)


@pytest.mark.parametrize(("kind", "key", "code"), [("MBK", MBK, 3), ("mbk", MBK, 3), ("MAK", MAK, 0), ("", MAK, 0)])
def test_the_kind_of_a_mep_key(kind: str, key: bytes, code: int) -> None:
    async def test(site: Site) -> None:
        for scheme in ("mep+tls+tcp", "mep+rc4+tcp"):
            async with site.open(scheme, key=key, key_kind=kind) as device:
                assert await device.raw(1) == site.world.image.read(1)
                if code:
                    with pytest.raises(osgp.Error) as caught:
                        await device.access.write_part(54, 0, b"x")
                    assert getattr(caught.value, "code", None) == code
                else:
                    await device.access.write_part(54, 0, b"x")

    on_site(test)


def test_the_kind_may_stand_in_the_address() -> None:
    async def test(site: Site) -> None:
        options = {**OPTIONS["mep+tls+tcp"], "key": MBK}
        async with osgp.open(site.address("mep+tls+tcp") + "?key_kind=MBK&client_id=7", **options) as device:
            assert await device.raw(1) == site.world.image.read(1)

    on_site(test)


def test_an_unknown_kind_and_a_missing_key() -> None:
    async def test(site: Site) -> None:
        for options in ({"key_kind": "PK"}, {"key": None}, {"key": b"too short"}):
            with pytest.raises(ConfigError) as caught:
                async with site.open("mep+tls+tcp", **options):
                    raise AssertionError
            assert caught.value.hint
        assert site.machines == []

    on_site(test)


def test_keys_out_of_files_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mk.txt"
    path.write_text(MK.decode() + "\n")
    path.chmod(0o600)
    monkeypatch.setenv("METER_KEY", MK.hex())

    async def test(site: Site) -> None:
        for source in (f"file:{path}", "env:METER_KEY"):
            async with site.open("optical+tcp", key=source) as device:
                assert await device.raw(1) == site.world.image.read(1)

    on_site(test)


def test_the_wrong_key() -> None:
    async def test(site: Site) -> None:
        for scheme, error in (("optical+tcp", NoKey), ("mep+tls+tcp", NoKey), ("mep+rc4+tcp", AuthenticationFailed)):
            wrong = b"surely not the right" if scheme.startswith("optical") else bytes(range(60, 76))
            with pytest.raises(error) as caught:
                async with site.open(scheme, key=wrong) as device:
                    await device.raw(1)
            assert caught.value.hint

    on_site(test)


def test_without_an_optical_key_only_the_public_tables() -> None:
    async def test(site: Site) -> None:
        async with site.open("optical+tcp", key=None) as device:
            assert await device.raw(1) == site.world.image.read(1)
            with pytest.raises(osgp.Error):
                await device.raw(23)

    on_site(test)


# ---- legacy mode
def test_rc4_mode_must_be_asked_for() -> None:
    async def test(site: Site) -> None:
        with pytest.raises(ConfigError, match="RC4"):
            async with site.open("mep+rc4+tcp", legacy=False):
                raise AssertionError
        with pytest.raises(ConfigError, match="choose one"):
            async with site.open("mep+tls+tcp", legacy=True):
                raise AssertionError
        assert site.machines == []
        async with osgp.open(site.address("mep+tcp"), **OPTIONS["mep+tls+tcp"]) as device:
            assert await device.raw(1)
            assert site.machines[-1].tls_up
        async with osgp.open(site.address("mep+tcp"), **OPTIONS["mep+rc4+tcp"]) as device:
            assert await device.raw(1)
            assert not site.machines[-1].tls_up

    on_site(test)


def test_a_device_that_demands_tls() -> None:
    async def test(site: Site) -> None:
        async with site.open("mep+rc4+tcp") as device:
            await device.raw(1)
            site.machines[-1].demand_tls = True
            with pytest.raises(osgp.Error, match="RC4") as caught:
                await device.raw(1)
            assert "tls" in caught.value.hint

    on_site(test)


# ---- the sequence number
def test_the_sequence_number_is_kept_between_runs(tmp_path: Path) -> None:
    path = tmp_path / "sequence.json"

    async def test(site: Site) -> None:
        meter = mep_server(site.world, Port("mep1"))
        site._make = lambda door: meter  # type: ignore[method-assign]  # one device that remembers
        async with site.open("mep+rc4+tcp", sequence_file=path) as device:
            await device.raw(1)
        first = json.loads(path.read_text())["sequence"]
        assert first == meter.sequence
        refused = meter.refused
        async with site.open("mep+rc4+tcp", sequence_file=path) as device:
            await device.raw(1)
        assert json.loads(path.read_text())["sequence"] == first + 1 == meter.sequence
        assert meter.refused == refused
        for damaged in ("{", "{}", '{"sequence": "x"}', '{"sequence": -5}', '{"sequence": 99999999999}', "[]"):
            path.write_text(damaged)
            async with site.open("mep+rc4+tcp", sequence_file=path) as device:
                assert await device.raw(1) == site.world.image.read(1)

    on_site(test)


def test_a_number_that_cannot_be_kept_is_not_used(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        async with site.open("mep+rc4+tcp", sequence_file=tmp_path / "nowhere" / "x.json") as device:
            for _ in range(2):
                with pytest.raises(ConfigError, match="sequence"):
                    await device.raw(1)
        assert site.machines[-1].served == site.machines[-1].refused == 0

    on_site(test)


# ---- addresses and options
@pytest.mark.parametrize(
    "option",
    [{"packet_size": "big"}, {"packets": 0}, {"talk_baud": 12345}, {"user_id": 1.5}, {"user": "far too long a name"}],
)
def test_options_that_make_no_sense(option: dict[str, Any]) -> None:
    async def test(site: Site) -> None:
        with pytest.raises(ConfigError):
            async with site.open("optical+tcp", **option):
                raise AssertionError
        await until(lambda: not any(server._tasks for server in site.servers))

    on_site(test)


def test_nobody_listens() -> None:
    with pytest.raises(PortClosed) as caught, osgp.open_sync("optical+tcp://127.0.0.1:1", key=MK):
        raise AssertionError
    assert caught.value.hint
    with pytest.raises(LinkError), osgp.open_sync("mep:///dev/no-such-port", key=MAK, insecure_lab=True):
        raise AssertionError


def test_a_line_without_a_meter() -> None:
    """Bytes go in and none come out: ident fails with advice, and the line is given back."""

    async def test(site: Site) -> None:
        ended = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1000):
                pass
            writer.close()
            ended.set()

        listener = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(NoAnswer) as caught:
            async with osgp.open(f"optical+tcp://127.0.0.1:{port}", key=MK):
                raise AssertionError
        assert "rotate" in caught.value.hint
        await ended.wait()
        listener.close()

    on_site(test)


# ---- saved devices
def test_a_saved_image_is_a_device(tmp_path: Path) -> None:
    image = World().image
    for name, content in (("plain", image.to_json()), ("nested", {"tables": image.to_json(), "note": "from a test"})):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        with osgp.open_sync(f"image:{path}") as device:
            assert device.get("BT23.tot_data_block.summations[0]") == image.get(BT23, "tot_data_block.summations[0]")
            assert device.raw("BT64") == image.read(64)
            device.write("BT54.calendar_id", 77)
            assert device.get("BT54.calendar_id") == 77


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "5", '{"BT23": 5}', '{"tables": []}', '{"XY": "00"}', "[" * 100_000, b"\xff\xfe"]
)
def test_what_is_no_saved_image(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "image.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError), osgp.open_sync(f"image:{path}"):
        raise AssertionError
    with pytest.raises(ConfigError), osgp.open_sync(f"image:{tmp_path / 'nothing.json'}"):
        raise AssertionError
