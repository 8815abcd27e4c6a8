"""What a device and a concentrator keep of their keys in a ``Memory``, declared in the language for bytes.

A project choice. The records hold keys: their reprs do not show them, and the memory belongs where secrets are.
"""

from __future__ import annotations

from typing import TypeVar

from osgp.app.memory import Memory
from osgp.app.suite import Address, KeySet
from osgp.crypto.keys import Key
from osgp.wire import Struct
from osgp.wire import fields as f
from osgp.wire.errors import ConfigError, DecodeError

__all__ = ["BroadcastKeys", "BroadcastNotes", "KeySetRecord", "SenderKeys", "UmkRecord", "key_set_of", "load_record"]

R = TypeVar("R", bound=Struct)


class KeySetRecord(Struct, byte_order="big", floor="app", source="project choice", status="project choice", exact=True):
    """A key set as it is kept."""

    version: int = f.u8(default=1, doc="of this record")
    epoch: int = f.u16()
    concentrator_id: bytes = f.binary(6)
    domain: bytes = f.binary(prefix=1, most=6)
    subnet: int = f.u8()
    node: int = f.u8()
    ku: bytes = f.binary(16, doc="secret")
    ku_generation: int = f.u16()
    first_seq: int = f.u32()
    kb: bytes = f.binary(16, doc="secret")
    kb_generation: int = f.u16()
    b: int = f.u32()
    d: int = f.u16()

    def __repr__(self) -> str:
        return f"KeySetRecord(ku_generation={self.ku_generation}, keys hidden)"

    @classmethod
    def of(cls, one: KeySet) -> KeySetRecord:
        return cls(
            epoch=one.epoch,
            concentrator_id=one.concentrator_id,
            domain=one.address.domain,
            subnet=one.address.subnet,
            node=one.address.node,
            ku=one.ku.for_aes(),
            ku_generation=one.ku_generation,
            first_seq=one.first_seq,
            kb=one.kb.for_aes(),
            kb_generation=one.kb_generation,
            b=one.b,
            d=one.d,
        )


def key_set_of(record: KeySetRecord) -> KeySet:
    """The set of a record. ConfigError if it cannot be one."""
    return KeySet(
        epoch=record.epoch,
        concentrator_id=record.concentrator_id,
        address=Address(record.domain, record.subnet, record.node),
        ku=Key(record.ku),
        ku_generation=record.ku_generation,
        first_seq=record.first_seq,
        kb=Key(record.kb),
        kb_generation=record.kb_generation,
        b=record.b,
        d=record.d,
    )


class BroadcastKeys(
    Struct, byte_order="big", floor="app", source="project choice", status="project choice", exact=True
):
    """A device's broadcast keys in both slots, which of them is in use, and the window."""

    current: int = f.u16(doc="generation in use, 0: none")
    generations: list[int] = f.u16(count=2, doc="by slot, 0: empty")
    keys: list[bytes] = f.binary(16, count=2, doc="secret: by slot")
    b: int = f.u32()
    d: int = f.u16()

    def __repr__(self) -> str:
        return f"BroadcastKeys(current={self.current}, generations={self.generations}, keys hidden)"


class BroadcastNotes(
    Struct, byte_order="big", floor="app", source="project choice", status="project choice", exact=True
):
    """What a device remembers of the last good broadcast."""

    seconds: int = f.u32(unit="s", doc="UTC since 1970, ET04.76")
    clock_day: int = f.u32(doc="ordinal of the day of the last clock step by broadcast")


class UmkRecord(Struct, byte_order="big", floor="app", source="project choice", status="project choice", exact=True):
    """The UMK in force, and the one that comes with the next epoch."""

    umk: bytes = f.binary(16, doc="secret")
    next_epoch: int = f.u16(doc="first epoch of the next UMK; 0: there is none")
    next_umk: bytes = f.binary(16, doc="secret")

    def __repr__(self) -> str:
        return f"UmkRecord(next_epoch={self.next_epoch}, keys hidden)"


class SenderKeys(Struct, byte_order="big", floor="app", source="project choice", status="project choice", exact=True):
    """A concentrator's broadcast key, and the one that is being handed out."""

    generation: int = f.u16()
    kb: bytes = f.binary(16, doc="secret")
    next_generation: int = f.u16(doc="0: none")
    next_kb: bytes = f.binary(16, doc="secret")

    def __repr__(self) -> str:
        return f"SenderKeys(generation={self.generation}, keys hidden)"


def load_record(memory: Memory, name: str, record: type[R]) -> R | None:
    """The record under ``name``, None if it is absent or erased. ConfigError if it is damaged; its bytes are not shown."""
    value = memory.load(name)
    if not value:
        return None
    try:
        return record.decode(value)
    except DecodeError:
        raise ConfigError(
            f"the memory holds no {record.__name__} under {name}",
            hint="it is damaged or of another version; the device must be commissioned anew",
        ) from None
