"""Explanations told as text: the same tree as the walk's, for every layout, offset and graft."""

from __future__ import annotations

import json
import random
from functools import cache, partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import osgp.c1218.packet
import osgp.c1218.services
import osgp.mep.frame
import osgp.mep.tls.messages
import osgp.mep.tls.records
from osgp.lon.apdu import Apdu
from osgp.lon.lpdu import Lpdu
from osgp.lon.npdu import Npdu
from osgp.lon.tpdu import VERSIONS, Spdu
from osgp.tables.bt.bt21 import BT21
from osgp.wire import EMPTY, Bits, Context, Layout, Struct, bit, layout_of
from osgp.wire import fields as f
from osgp.wire.errors import DecodeError
from osgp.wire.explain import ExplainNode
from osgp.wire.telling import Telling
from tests.wire.declarations import structure, variable
from tests.wire.test_special import LON, some_bytes

DOORS = [osgp.c1218.packet, osgp.c1218.services, osgp.mep.frame, osgp.mep.tls.messages, osgp.mep.tls.records]


@cache
def declared() -> list[type[Struct]]:
    """All structures of the doors and of the control network."""
    found = [
        value
        for module in DOORS
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Struct) and value.__module__ == module.__name__
    ]
    return [*LON, *found, BT21]


def shifted(layout: Layout[Any], raw: bytes, offset: int) -> ExplainNode:
    tree = layout.explain(raw)
    tree.shift(offset)
    return tree


def agree(layout: Layout[Any], raw: bytes, offset: int) -> None:
    assert json.loads(layout.explain_json(raw, offset)) == json.loads(
        json.dumps(shifted(layout, raw, offset).to_json())
    )


@given(seed=st.integers(0, 2**40))
@settings(max_examples=400, deadline=None)
def test_what_is_told_is_what_is_explained(seed: int) -> None:
    rng = random.Random(seed)
    layout = layout_of(rng.choice((variable, variable, structure))(rng), rng.choice((EMPTY, VERSIONS[2])))
    for _ in range(8):
        agree(layout, some_bytes(rng), rng.choice((0, 0, 1, 5, 1000)))


@given(seed=st.integers(0, 2**40), raw=st.binary(max_size=40), version=st.sampled_from(VERSIONS))
@settings(max_examples=600, deadline=None)
def test_the_doors_and_the_control_network_are_told(seed: int, raw: bytes, version: Context) -> None:
    rng = random.Random(seed)
    layout = layout_of(rng.choice(declared()), version)
    agree(layout, raw, rng.choice((0, 3)))
    agree(layout, some_bytes(rng), 0)


def layers(raw: bytes) -> tuple[bytes, bytes, bytes]:
    npdu = Lpdu.decode(raw).npdu
    pdu = Npdu.decode(npdu).pdu
    return npdu, pdu, Spdu.decode(pdu).apdu


def test_a_frame_is_told_whole() -> None:
    raw = bytes.fromhex("0119018a01944901510102")
    npdu, pdu, apdu = layers(raw)
    told = layout_of(Lpdu).explain_json(
        raw,
        100,
        {
            "npdu": lambda at: layout_of(Npdu).explain_json(
                npdu,
                at,
                {
                    "pdu": lambda at: layout_of(Spdu).explain_json(
                        pdu, at, {"apdu": partial(layout_of(Apdu).explain_json, apdu), "nobody": "{}"}
                    )
                },
            )
        },
    )
    trees = [layout_of(struct).explain(part) for struct, part in ((Lpdu, raw), (Npdu, npdu), (Spdu, pdu), (Apdu, apdu))]
    for outer, name, inner in reversed(list(zip(trees, ("npdu", "pdu", "apdu"), trees[1:]))):
        outer.graft(name, inner)
    trees[0].shift(100)
    assert json.loads(told) == trees[0].to_json()
    assert '"bit_offset":864' in told, "the data of the APDU lie at byte 108"


@given(seed=st.integers(0, 2**40))
@settings(max_examples=300, deadline=None)
def test_what_is_hung_below_hangs_where_a_graft_would(seed: int) -> None:
    rng = random.Random(seed)
    layout = layout_of(rng.choice((variable, structure))(rng))
    inner = layout_of(Apdu)
    raw, offset = some_bytes(rng), rng.choice((0, 7))
    tree = layout.explain(raw)
    names = [child.name for child in tree.children] or ["field0"]
    below: dict[str, bytes] = {name: rng.randbytes(rng.randint(0, 3)) for name in rng.sample(names, min(2, len(names)))}
    below |= {"field1": b"\1"} if rng.random() < 0.3 else {}
    for name, carried in below.items():
        tree.graft(name, inner.explain(carried))
    tree.shift(offset)
    grafts = {name: partial(inner.explain_json, carried) for name, carried in below.items()}
    assert json.loads(layout.explain_json(raw, offset, grafts)) == json.loads(json.dumps(tree.to_json()))


def test_a_text_is_hung_as_it_is() -> None:
    told = json.loads(layout_of(Apdu).explain_json(b"\x01ab", 4, {"data": '{"name":"own"}'}))
    assert told["children"][1]["children"] == [{"name": "own"}]


def test_a_failing_graft_is_the_caller_s_affair() -> None:
    def fail(_: int) -> str:
        raise DecodeError("no")

    with pytest.raises(DecodeError, match="no"):
        layout_of(Apdu).explain_json(b"\x01ab", 0, {"data": fail})


def test_strange_words_make_no_bad_text() -> None:
    class Word(Bits, size=1):
        first: int = bit(0, doc='a "b" {c} \\ \n ü', values={1: '"1" {x}'})

    class Strange(Struct, source='{0} "%s" \\'):
        word: Word = f.bits(Word, doc="{}", unit='"', source="'''")
        name: str = f.text(3, doc='"')
        wide: int = f.u16(unit="{n}", scale=0.1, doc="\\u0000")
        tail: bytes = f.binary(doc="}}]", unit="\t")

    layout = layout_of(Strange)
    for raw in (b'\1"\\\0\2\3rest', b"\xff\xff\xfe\xfd\0\0", b"\1\2"):
        agree(layout, raw, 0)
        agree(layout, raw, 9)


def refuse(_: Any) -> Any:
    raise AssertionError("walked")


@pytest.mark.parametrize(
    ("struct", "raw"), [(Lpdu, "0119"), (Npdu, "19018a0194490151"), (Spdu, "01"), (Spdu, "c0026aff01"), (Apdu, "51")]
)
def test_the_control_network_is_told_without_a_walk(struct: type[Struct], raw: str) -> None:
    data, layout = bytes.fromhex(raw), layout_of(struct)
    telling = Telling(layout.special, layout.context, refuse)
    for offset in (*range(600), 0):
        told = telling.tell(data, offset, None)
    assert json.loads(told) == layout.explain(data).to_json()
    assert all(len(leaf.at) <= 256 and len(leaf.bytes_at) <= 256 for leaf in telling.leaves.values())
    assert telling.tell(bytearray(data), 0, None) == told  # type: ignore[arg-type]
