"""A node's memory as network management sees it: four ways to address it, and what each lets be read and written.

ISO/IEC 14908-1, network management; ``spec/iso14908-1.md`` 5.5, 5.8. On the nodes that the standard was written for, memory was one
array that held everything, keys included. Here every block is a view of its own (project choice): nothing beyond a block's end
can be reached, so that a domain's key can be neither read nor written through memory, whatever the offset.
"""

from __future__ import annotations

from collections.abc import Iterable

from osgp.lon.configuration import Configuration
from osgp.lon.entries import ConfigurationBlock, Statistics
from osgp.lon.variables import VariableTable
from osgp.wire import Bits, Struct, bit
from osgp.wire import fields as f
from osgp.wire.errors import ConfigError

__all__ = ["ABSOLUTE", "CONFIGURATION", "READ_ONLY", "STATISTICS", "Memory", "ReadOnlyMemory"]

ABSOLUTE, READ_ONLY, CONFIGURATION, STATISTICS = range(4)

_VERSION_ADDRESS = 0
"""Reading this one byte tells the firmware's version (open stack)."""
_SMALL_COUNT = 63
"""Numbers beyond what six bits say are told in the bytes at the block's end."""


class CountByte(Bits, size=1):
    """Byte 10: number of variables, and what memory is protected."""

    nv_count: int = bit(0, 6, orig="NV_COUNT")
    run_unconfigured: int = bit(6, orig="RUN_WHEN_UNCONF", doc="the application runs also without configuration")
    protected: int = bit(7, orig="READ_WRITE_PROTECT", doc="only what describes and configures the node is readable")


class StateByte(Bits, size=1):
    """Byte 21: state, and how messages are handled."""

    state: int = bit(0, 3, orig="NODE_STATE", doc="see NodeState")
    explicit_messages: int = bit(3, orig="MSG_PROCESS")
    explicit_address: int = bit(5, orig="EXPLICIT_ADDR")
    two_domains: int = bit(6, orig="TWO_DOMAINS")
    nv_processing_off: int = bit(7, orig="NV_PROCESSING_OFF", doc="variables are the host's")


class AddressCountByte(Bits, size=1):
    """Byte 22."""

    addresses: int = bit(4, 4, orig="ADDRESS_CNT", doc="entries of the address table")


class ReceiveCountByte(Bits, size=1):
    """Byte 23."""

    receive_transactions: int = bit(0, 4, orig="RECEIVE_TRANS_COUNT", doc="records of received transactions, less one")


class AliasCountByte(Bits, size=1):
    """Byte 36."""

    aliases: int = bit(0, 6, orig="ALIAS_CNT")


class ReadOnlyMemory(
    Struct, byte_order="big", floor="lon", source="open stack's headers; spec/iso14908-1.md 5.8", status="unverified"
):
    """What a node is: the 47 bytes of the read-only block."""

    unique_node_id: bytes = f.binary(6, default=bytes(6))
    model: int = f.u8(default=0xA8, orig="ARCH_NUM", doc="model number")
    minor_model: int = f.u8(
        default=0, orig="CHECKSUM_MINOR_NUM", doc="b7..4 checksum of the unique node ID, b3..0 minor model"
    )
    nv_table: int = f.u16(default=0, orig="NV_FIXED", doc="pointer to the variables' table")
    counts: CountByte = f.bits(CountByte, default=0)
    self_identification: int = f.u16(default=0xFFFF, orig="SNVT_STRUCT", doc="pointer; FFFF: by command 72 only")
    program_id: bytes = f.binary(8, default=bytes(8))
    state: StateByte = f.bits(StateByte, default=2)
    addresses: AddressCountByte = f.bits(AddressCountByte, default=0xF0)
    receive: ReceiveCountByte = f.bits(ReceiveCountByte, default=15)
    buffers: bytes = f.binary(5, default=bytes(5), doc="codes of buffer sizes and counts")
    reserved: bytes = f.binary(6, default=bytes(6))
    transactions_by_address: int = f.u8(default=0, orig="TX_BY_ADDRESS")
    aliases: AliasCountByte = f.bits(AliasCountByte, default=0)
    message_tags: int = f.u8(default=0, orig="MSG_TAG_CNT")
    reserved_2: bytes = f.binary(3, default=bytes(3))
    wide_nv_count: int = f.u8(default=0, orig="NV_COUNT_EXTENDED")
    wide_alias_count: int = f.u8(default=0, orig="ALIAS_COUNT_EXTENDED")
    self_identification_2: int = f.u16(default=0xFFFF, orig="SNVT2")
    features: int = f.u8(default=0, orig="DMF", doc="b7 direct memory files, b6 second generation of security")
    wide_addresses: int = f.u8(default=15, orig="EXTENDED", doc="entries of the address table")


class Memory:
    """The memory of one node.

    Absolute addresses reach ``size`` bytes from ``base`` on, the application's own; ``protected``: (first, behind the last) addresses
    there that are neither read nor written. The other blocks are views of ``configuration``; what describes the node is never
    written. Raises ConfigError for memory beyond address FFFF, or over the one byte that tells the version.
    """

    __slots__ = ("_bytes", "_protected", "base", "configuration", "variables")

    def __init__(
        self,
        configuration: Configuration,
        variables: VariableTable | None = None,
        *,
        size: int = 0,
        base: int = 0x4000,
        protected: Iterable[tuple[int, int]] = (),
    ) -> None:
        if size < 0 or base + size > 0x10000 or (size and base <= _VERSION_ADDRESS):
            raise ConfigError(f"memory of {size} bytes from {base:04X} on is not within 0001 to FFFF")
        self.configuration = configuration
        self.variables = variables
        self.base = base
        self._bytes = bytearray(size)
        self._protected = tuple(protected)

    @property
    def size(self) -> int:
        """Bytes that absolute addresses reach."""
        return len(self._bytes)

    def read_only_block(self) -> ReadOnlyMemory:
        """What the node is, as of now."""
        configuration, variables = self.configuration, self.variables
        count = variables.count if variables is not None else 0
        aliases = variables.alias_count if variables is not None else 0
        addresses = len(configuration.addresses)
        return ReadOnlyMemory(
            unique_node_id=configuration.unique_node_id,
            model=configuration.model,
            counts=CountByte(nv_count=min(count, _SMALL_COUNT), protected=1),
            program_id=configuration.program_id,
            state=StateByte(
                state=configuration.state & 7,
                explicit_messages=1,
                two_domains=int(len(configuration.domains) > 1),
                nv_processing_off=1,
            ),
            addresses=AddressCountByte(addresses=min(addresses, 15)),
            receive=ReceiveCountByte(receive_transactions=max(0, min(configuration.receive_transactions, 16) - 1)),
            aliases=AliasCountByte(aliases=min(aliases, _SMALL_COUNT)),
            wide_nv_count=min(count, 0xFF),
            wide_alias_count=min(aliases, 0xFF),
            wide_addresses=min(addresses, 0xFF),
        )

    def read(self, mode: int, offset: int, count: int) -> bytes | None:
        """Bytes of the memory; None where there are none to be read (``mode``: see ``nm.MODES``)."""
        if mode == ABSOLUTE:
            if offset == _VERSION_ADDRESS and count == 1:
                return bytes((self.configuration.firmware,))
            start = offset - self.base
            return bytes(self._bytes[start : start + count]) if self._is_open(offset, count) else None
        block = self._block(mode)
        if block is None or offset + count > len(block):
            return None
        return block[offset : offset + count]

    def write(self, mode: int, offset: int, data: bytes) -> bool:
        """Change bytes of the memory. False, and nothing changed, where they are not to be written."""
        if mode == ABSOLUTE:
            if not self._is_open(offset, len(data)):
                return False
            start = offset - self.base
            self._bytes[start : start + len(data)] = data
            return True
        block = self._block(mode)
        if mode == READ_ONLY or block is None or offset + len(data) > len(block):
            return False
        changed = block[:offset] + data + block[offset + len(data) :]
        if mode == CONFIGURATION:
            self.configuration.block = ConfigurationBlock.decode(changed)
            self.configuration.changed()
        else:
            counters = Statistics.decode(changed)
            for name in Statistics.specs:
                setattr(self.configuration.statistics, name, getattr(counters, name))
        return True

    def _block(self, mode: int) -> bytes | None:
        if mode == READ_ONLY:
            return self.read_only_block().encode()
        if mode == CONFIGURATION:
            return self.configuration.block.encode()
        if mode == STATISTICS:
            return self.configuration.statistics.encode()
        return None

    def _is_open(self, address: int, count: int) -> bool:
        inside = self.base <= address and address + count <= self.base + len(self._bytes)
        return inside and all(address + count <= first or address >= behind for first, behind in self._protected)
