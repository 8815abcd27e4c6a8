"""Scripts, carried out step by step in Python: they write what ``explain_json`` tells."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.lon.apdu import Apdu
from osgp.lon.cnip import CnIpPacket, data_packet
from osgp.lon.commands import COMMANDS
from osgp.lon.lpdu import Lpdu, LpduWithCrc
from osgp.lon.npdu import Npdu
from osgp.lon.tpdu import VERSIONS, Spdu
from osgp.wire import EMPTY, Layout, Struct, layout_of
from osgp.wire import fields as f
from osgp.wire.plan import Place
from osgp.wire.script import Act, Script, Step, Unfit, deciding_bytes, script_of, variable_number
from osgp.wire.special import MISFITS
from tests.wire.declarations import structure, variable
from tests.wire.test_special import LON, some_bytes


class Runner:
    """One script on its bytes; None where it does not fit."""

    def __init__(self, script: Script, raw: bytes, offset: int, carried: str = "") -> None:
        self.script, self.raw, self.offset, self.carried = script, raw, offset, carried
        self.variables: dict[int, int] = {}

    def place(self, place: Place) -> int:
        base = {"": 0, "n": len(self.raw)}
        start = base[place.base] if place.base in base else self.variables[variable_number(place)]
        return start + place.shift

    def integer(self, step: Step, little: int) -> int:
        return int.from_bytes(self.raw[self.place(step.a) : self.place(step.b)], "little" if little else "big")

    def locate(self) -> bool:
        origin, end = 0, len(self.raw)
        for step in self.script.locate:
            a, b = self.place(step.a), self.place(step.b)
            match step.act:
                case Act.REACH:
                    fits = end >= a
                case Act.MORE:
                    fits = end > a
                case Act.EXACT:
                    fits = end == a
                case Act.FROM:
                    origin, fits = a, True
                case Act.COUNTED:
                    number, least, most, little = step.numbers
                    count = self.integer(step, little)
                    fits = b <= end and least <= count <= most and b + count <= end
                    self.variables[number] = b + count
                case _:
                    number, shift, mask, little, cut = step.numbers
                    stop = origin + (self.integer(step, little) >> shift & mask)
                    fits = b <= end and (stop <= end or bool(cut))
                    self.variables[number] = min(stop, end)
            if not fits:
                return False
        return True

    def text(self) -> str | None:
        if not self.locate():
            return None
        out, number = "", 0
        while (step := self.script.write[number]).act != Act.DONE:
            number += 1
            a, b = self.place(step.a), self.place(step.b)
            raw, numbers = self.raw[a:b], step.numbers
            match step.act:
                case Act.WORDS:
                    out += step.words
                case Act.OFFSET:
                    out += str(numbers[0] * (a + self.offset) + numbers[1])
                case Act.SIZE:
                    out += str(numbers[0] * (b - a))
                case Act.DIGITS:
                    out += raw.hex()
                case Act.CAPITALS:
                    out += raw.hex().upper()
                case Act.SHOWN:
                    out += raw.hex(" ").upper() or "-"
                case Act.NUMBER:
                    out += str(self.integer(step, numbers[2]) >> numbers[0] & numbers[1])
                case Act.MEANING:
                    out += step.table[self.integer(step, numbers[2]) >> numbers[0] & numbers[1]]
                case Act.IF_ANY:
                    number += 0 if a != b else numbers[0]
                case Act.IF_CARRIED:
                    number += 0 if self.carried else numbers[0]
                case Act.CARRIED:
                    out += self.carried
        return out


def written(layout: Layout[Any], raw: bytes, offset: int = 0, carrier: str = "", carried: str = "") -> str | None:
    """What the script of these bytes writes about them; None without a script."""
    try:
        form, _ = deciding_bytes(layout.special, raw)
        script = script_of(form, carrier)
    except (Unfit, *MISFITS):
        return None
    return Runner(script, raw, offset, carried).text()


@given(seed=st.integers(0, 2**40))
@settings(max_examples=300, deadline=None)
def test_a_script_writes_what_is_told(seed: int) -> None:
    rng = random.Random(seed)
    layout = layout_of(rng.choice((variable, variable, structure))(rng), rng.choice((EMPTY, VERSIONS[2])))
    for _ in range(4):
        raw, offset = some_bytes(rng), rng.choice((0, 5, 1000))
        assert written(layout, raw, offset) in (None, layout.explain_json(raw, offset))


@given(seed=st.integers(0, 2**40), raw=st.binary(max_size=40))
@settings(max_examples=400, deadline=None)
def test_the_control_network_has_scripts(seed: int, raw: bytes) -> None:
    rng = random.Random(seed)
    layout = layout_of(rng.choice(LON), rng.choice(VERSIONS))
    for data in (raw, some_bytes(rng)):
        assert written(layout, data, 7) in (None, layout.explain_json(data, 7))


@pytest.mark.parametrize("key", COMMANDS)
def test_every_request_has_a_script(key: tuple[int, int | None]) -> None:
    layout = layout_of(COMMANDS[key].request)
    raw = bytes((key[0], key[1] or 0)) + bytes(range(1, 60))
    assert written(layout, raw, 30) == layout.explain_json(raw, 30)


@pytest.mark.parametrize(
    ("struct", "raw", "carrier"),
    [
        (LpduWithCrc, "0119018a01944901511234", "npdu"),
        (Lpdu, "0119018a0194490151", "npdu"),
        (Npdu, "19018a0194490151", "pdu"),
        (Spdu, "01", "apdu"),
        (Spdu, "4003020406aff01aa", "apdu"),
        (Apdu, "5101", "data"),
    ],
)
def test_what_is_carried_stands_below_its_field(struct: type[Struct], raw: str, carrier: str) -> None:
    data, layout = bytes.fromhex(raw[: len(raw) // 2 * 2]), layout_of(struct, VERSIONS[0])
    below = '{"name":"below"}'
    assert written(layout, data, 3, carrier, below) == layout.explain_json(data, 3, {carrier: below})
    assert written(layout, data, 3, carrier) == layout.explain_json(data, 3)


def test_a_field_that_is_known_to_fill_the_bytes_needs_no_size() -> None:
    raw, layout = data_packet(bytes.fromhex("0119018a0194490151")), layout_of(CnIpPacket)
    form, looked = deciding_bytes(layout.special, raw)
    assert set(looked) <= set(range(2, 6)), "version, type, words of the extension and flags decide, not the length"
    with pytest.raises(Unfit):
        script_of(form)
    script = script_of(form, "data", filling="data")
    assert Runner(script, raw, 0).text() == layout.explain_json(raw)
    assert script.carrier == (Place("", 20), Place("n"))


def test_what_no_step_can_say_is_unfit() -> None:
    class Signed(Struct):
        number: int = f.i16()

    class Long(Struct):
        number: int = f.u64()

    class Many(Struct):
        numbers: list[int] = f.u8(count=2)

    class Rare(Struct):
        number: int = f.u16(values={1: "one"})

    class Named(Struct):
        name: str = f.text(4)

    for struct in (Signed, Long, Many, Rare, Named):
        form, _ = deciding_bytes(layout_of(struct).special, bytes(8))
        with pytest.raises(Unfit):
            script_of(form)


def test_words_are_joined_but_not_over_what_may_be_passed_over() -> None:
    form, _ = deciding_bytes(layout_of(Lpdu).special, b"\1\2")
    steps = script_of(form, "npdu").write
    landed = {
        number + 1 + step.numbers[0] for number, step in enumerate(steps) if step.act in (Act.IF_ANY, Act.IF_CARRIED)
    }
    pairs = [number for number in range(1, len(steps)) if steps[number - 1].act == steps[number].act == Act.WORDS]
    assert landed
    assert set(pairs) <= landed
