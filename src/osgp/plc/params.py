"""Every constant of the power line in one object, each with how sure it is; replaceable from a file.

ETSI TS 103 908; ``spec/phy-ts103908.md``. *verified*: read in a public source or computed from such numbers (section 1).
*unverified*: recalled or inferred (section 2). *project choice*: ours (section 3), until somebody reads the clauses on word encoding,
packet timing and transmitter of the standard. ``PROVENANCE`` holds the mark and the source of each field.

A profile file is TOML with any of the field names; what it leaves out keeps its default::

    name = "what I measured"
    word_sync = "11100010010"
    coding_bits = "10"
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from osgp.wire.errors import ConfigError

__all__ = ["C_BAND", "OSGP", "PROVENANCE", "PhyProfile"]

Code = Literal["parity01", "x1182"]
Pulse = Literal["rectangular", "edge"]


@dataclass(frozen=True, slots=True)
class PhyProfile:
    """A power-line channel. Bits are strings of 0 and 1 in the order of transmission; times in line bits unless named.

    ``master_clock_hz``, ``clocks_per_bit``: the line bit rate is their quotient. ``primary_cycles``, ``secondary_cycles``: carrier
    cycles per line bit. ``samples_per_bit``: of the modem's own sample rate. ``code``: how a byte becomes a word; ``coding_bits``:
    the two fixed bits of parity01; ``odd_parity``: its sense. ``start_up_bits``: unmodulated carrier before the packet.
    ``edge_samples``: length of the edges of the pulse ``edge``.

    The receiver's: ``threshold`` of the normalised correlation, ``bins_hz`` in which it is searched, ``blanker`` in running medians
    over ``blanker_bits``, ``loop_bandwidth`` in line bit rates, ``pilot_weight`` of the coding bits in it, ``noise_bins`` of half a
    mains cycle, ``list_size`` of CRC-aided decoding over ``list_words`` words; of carrier detect ``detect_bits`` and
    ``drop_bits``, and ``detect_threshold`` of the normalised correlation with the first bits of bit synchronisation.
    The MAC's: ``beta2_bits``, ``beta1_receive_s``, ``beta1_transmit_s``, ``packet_cycle_s``, ``priority_slots``.
    """

    name: str = "OSGP-PHY-P1"
    master_clock_hz: float = 6_553_600.0
    clocks_per_bit: int = 1824
    primary_cycles: int = 24
    secondary_cycles: int = 21
    samples_per_bit: int = 96
    code: Code = "parity01"
    odd_parity: bool = True
    coding_bits: str = "01"
    start_up_bits: int = 0
    bit_sync: str = "101010101010101010101010"
    word_sync: str = "11100010010"
    end_of_packet: str = "1100101001000110101010"
    pulse: Pulse = "rectangular"
    edge_samples: int = 8
    min_lpdu: int = 6
    max_lpdu: int = 252
    mains_hz: float = 50.0
    threshold: float = 0.46
    bins_hz: tuple[float, ...] = (-25.0, 0.0, 25.0)
    blanker: float = 3.5
    blanker_bits: int = 36
    loop_bandwidth: float = 0.02
    pilot_weight: float = 2.0
    noise_bins: int = 32
    list_size: int = 16
    list_words: int = 4
    detect_bits: int = 10
    detect_threshold: float = 0.75
    drop_bits: int = 22
    beta2_bits: int = 10
    beta1_receive_s: float = 6.112060546875e-3
    beta1_transmit_s: float = 6.7327880859375e-3
    packet_cycle_s: float = 96.9e-3
    priority_slots: int = 0

    def __post_init__(self) -> None:
        for name in ("coding_bits", "bit_sync", "word_sync", "end_of_packet"):
            value = getattr(self, name)
            if not value or set(value) - {"0", "1"}:
                raise ConfigError(f"{name} is {value!r}", hint="a text of 0 and 1, in the order of transmission")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, float) and not math.isfinite(number):
                    raise ConfigError(f"{field.name} cannot be {value!r}", hint="a finite number")
        checks = (
            ("code", self.code in ("parity01", "x1182"), "parity01 or x1182"),
            ("pulse", self.pulse in ("rectangular", "edge"), "rectangular or edge"),
            ("coding_bits", len(self.coding_bits) == 2, "two bits, so that a word has eleven"),
            ("word_sync", len(self.word_sync) == 11, "eleven bits"),
            ("end_of_packet", len(self.end_of_packet) == 22, "two words of eleven bits"),
            ("bit_sync", 8 <= len(self.bit_sync) <= 256, "8 to 256 bits"),
            ("master_clock_hz", self.master_clock_hz > 0, "above zero"),
            ("clocks_per_bit", self.clocks_per_bit > 0, "above zero"),
            (
                "samples_per_bit",
                8 <= self.samples_per_bit <= 1024 and self.samples_per_bit % 8 == 0,
                "a multiple of 8, at most 1024",
            ),
            ("primary_cycles", 0 < self.primary_cycles < self.samples_per_bit / 2, "above 0, below half the samples"),
            (
                "secondary_cycles",
                0 < self.secondary_cycles < self.samples_per_bit / 2,
                "above 0, below half the samples",
            ),
            ("primary_cycles", self.primary_cycles != self.secondary_cycles, "another than the secondary's"),
            ("edge_samples", 0 <= self.edge_samples <= self.samples_per_bit // 2, "at most half a bit"),
            ("start_up_bits", 0 <= self.start_up_bits <= 1000, "0 to 1000"),
            ("max_lpdu", 1 <= self.max_lpdu <= 252, "1 to 252"),
            ("min_lpdu", 1 <= self.min_lpdu <= self.max_lpdu <= 252, "1 to 252, the smaller first"),
            ("threshold", 0 < self.threshold < 1, "between 0 and 1"),
            ("bins_hz", 1 <= len(self.bins_hz) <= 64, "1 to 64 of them"),
            ("mains_hz", 10 <= self.mains_hz <= 1000, "10 to 1000"),
            ("blanker", self.blanker > 1, "above 1"),
            ("blanker_bits", 1 <= self.blanker_bits <= 1000, "1 to 1000"),
            ("loop_bandwidth", 0 < self.loop_bandwidth < 0.25, "between 0 and 0.25"),
            ("noise_bins", 1 <= self.noise_bins <= 1024, "1 to 1024"),
            ("list_size", 1 <= self.list_size <= 16, "1 to 16: each further guess lets damaged packets pass"),
            ("list_words", 0 <= self.list_words <= 8, "0 to 8"),
            ("detect_bits", 4 <= self.detect_bits <= 1000, "4 to 1000"),
            ("drop_bits", 1 <= self.drop_bits <= 1000, "1 to 1000"),
            ("detect_threshold", 0 < self.detect_threshold < 1, "between 0 and 1"),
        )
        for name, good, hint in checks:
            if not good:
                raise ConfigError(f"{name} cannot be {getattr(self, name)!r}", hint=hint)

    # ---- what follows from it --------------------------------------------------------------------------------------
    @property
    def bit_rate(self) -> float:
        """Line bits per second."""
        return self.master_clock_hz / self.clocks_per_bit

    @property
    def sample_rate_hz(self) -> float:
        """Samples per second of the modem."""
        return self.samples_per_bit * self.bit_rate

    def carrier_hz(self, secondary: bool) -> float:
        """Frequency of a carrier."""
        return (self.secondary_cycles if secondary else self.primary_cycles) * self.bit_rate

    @property
    def preamble(self) -> str:
        """Bit synchronisation and word synchronisation."""
        return self.bit_sync + self.word_sync

    def line_bits(self, lpdu_size: int) -> int:
        """Line bits of a packet with an LPDU of that many bytes (without CRC)."""
        return self.start_up_bits + len(self.preamble) + 11 * (lpdu_size + 2) + len(self.end_of_packet)

    def airtime_s(self, lpdu_size: int) -> float:
        """Seconds of a packet with an LPDU of that many bytes (without CRC)."""
        return self.line_bits(lpdu_size) / self.bit_rate

    @property
    def beta2_s(self) -> float:
        """A slot, seconds."""
        return self.beta2_bits / self.bit_rate

    # ---- files -----------------------------------------------------------------------------------------------------
    @classmethod
    def from_file(cls, path: str | Path) -> PhyProfile:
        """Read a profile. Raises ConfigError with file, key and what would do."""
        try:
            values = tomllib.loads(Path(path).read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}: {error}", hint='a profile is TOML: word_sync = "11100010010"') from error
        return cls.from_values(values, str(path))

    @classmethod
    def from_values(cls, values: dict[str, Any], where: str = "profile") -> PhyProfile:
        """From field names and values. Raises ConfigError naming the key."""
        known = {each.name: each for each in dataclasses.fields(cls)}
        given: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, 3) or sorted(known)
                raise ConfigError(f"{where}: there is no {name!r}", hint=f"did you mean {', '.join(near[:6])}?")
            given[name] = _fitting(where, name, value, known[name].default)
        try:
            return cls(**given)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error.message}", hint=error.hint) from error

    def to_toml(self) -> str:
        """The profile as a file, each field with its mark and source as comment."""
        lines = []
        for each in dataclasses.fields(self):
            status, source = PROVENANCE[each.name]
            lines.append(f"{each.name} = {_toml(getattr(self, each.name))}  # {status}; {source}")
        return "\n".join(lines) + "\n"


def _fitting(where: str, name: str, value: Any, default: Any) -> Any:
    """A value of a file as its field wants it."""
    if isinstance(default, tuple) and isinstance(value, list):
        if all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in value):
            return tuple(float(each) for each in value)
    elif isinstance(default, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif type(value) is type(default):
        return value
    raise ConfigError(f"{where}: {name} is {value!r}", hint=f"for example {_toml(default)}")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(repr, value)) + "]"
    return repr(value)


_V, _U, _P = "verified", "unverified", "project choice"

PROVENANCE: dict[str, tuple[str, str]] = {
    "name": (_P, "3"),
    "master_clock_hz": (_V, "1.2: transceiver data sheets; confirmed by the slot length, 1.7"),
    "clocks_per_bit": (_U, "1.2: inferred from published rates and slot lengths"),
    "primary_cycles": (_U, "2.1: recalled; agrees with the published 131 kHz of the C band"),
    "secondary_cycles": (_U, "2.1: recalled"),
    "samples_per_bit": (_P, "3.1"),
    "code": (_V, "1.4: eight data bits, parity, two coding bits; x1182 is a project choice"),
    "odd_parity": (_P, "2.5, 3.3"),
    "coding_bits": (_P, "2.5, 3.3"),
    "start_up_bits": (_P, "2.3, 3.2"),
    "bit_sync": (_P, "2.3, 3.2"),
    "word_sync": (_P, "2.3, 3.2"),
    "end_of_packet": (_P, "2.8, 3.2"),
    "pulse": (_U, "2.9"),
    "edge_samples": (_P, "3.1"),
    "min_lpdu": (_V, "1.6: frames of 8 to 254 bytes with CRC"),
    "max_lpdu": (_V, "1.6: frames of 8 to 254 bytes with CRC"),
    "mains_hz": (_P, "3.6"),
    "threshold": (_P, "3.4"),
    "bins_hz": (_P, "3.4"),
    "blanker": (_P, "3.4"),
    "blanker_bits": (_P, "3.4"),
    "loop_bandwidth": (_P, "3.4"),
    "pilot_weight": (_P, "3.4"),
    "noise_bins": (_P, "3.4"),
    "list_size": (_P, "3.3"),
    "list_words": (_P, "3.3"),
    "detect_bits": (_P, "3.4"),
    "drop_bits": (_P, "3.4"),
    "detect_threshold": (_P, "ours: one false detection in some seconds of noise, each of 22 bits"),
    "beta2_bits": (_V, "1.7"),
    "beta1_receive_s": (_V, "1.7"),
    "beta1_transmit_s": (_V, "1.7"),
    "packet_cycle_s": (_V, "1.7"),
    "priority_slots": (_V, "1.7"),
}
"""(mark, section of ``spec/phy-ts103908.md``) of every field."""

OSGP = PhyProfile()
"""The A band as OSGP meters use it, profile OSGP-PHY-P1."""
C_BAND = PhyProfile(
    name="OSGP-PHY-P1 (C band)",
    beta2_bits=11,
    master_clock_hz=10_000_000.0,
    beta1_receive_s=4.911e-3,
    beta1_transmit_s=5.318e-3,
    packet_cycle_s=67.81e-3,
    priority_slots=8,
)
"""The same packets in the C band; its slot is 11.05 line bits (1.7), taken as 11."""
