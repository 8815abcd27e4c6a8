"""What is simulated: domains of nodes with levels, ways and load, as arrays that both engines read.

Project choice; figures from ``spec/phy-ts103908.md`` 1.7, 3.2, 3.5, 3.6. Node 0 of a domain is the concentrator, all others are
meters. Time is whole microseconds, levels are quarters of a decibel of Ec/N0, powers are whole 64ths of the noise: with whole
numbers only, two engines can agree to the last bit.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from osgp.lon.csma import W_BASE
from osgp.plc.params import OSGP, PhyProfile
from osgp.sim.medium import REACH_DB, SENSE_DB, Levels
from osgp.sim.per import NEVER, Curves, default_curves
from osgp.sim.street_routes import routes
from osgp.wire.errors import ConfigError

__all__ = [
    "MAX_LEGS",
    "MAX_NODES",
    "QUEUE",
    "SHAPES",
    "Counter",
    "Domain",
    "Domains",
    "Kind",
    "Load",
    "Number",
    "What",
    "shape",
    "street",
]

MAX_NODES = 128
"""Nodes of a domain: two words of bits."""
MAX_LEGS = 4
"""Legs of a way, concentrator to meter."""
QUEUE = 4
"""Frames that may wait in a node; what comes when it is full is dropped."""
STEPS_PER_DB = 4
TOP_DB = 90.0
"""Levels above count as this one; the dynamic range of the transceivers is 80 dB (digest 1.8)."""
NOISE = 64
"""The noise in the units of the powers."""
NOTHING = -1
"""In the table of levels: nothing arrives."""
CERTAIN = 1 << 32
"""The chance of what always comes through; chances are compared with the upper half of a draw."""
DELTA_BACKLOG = (1, 0, 0)
"""What each kind of frame announces: a request causes a further packet (digest ``iso14908-1`` 1.3)."""
LOG_BITS = 10
FIXED_POINT = 16
LN2 = round(math.log(2.0) * (1 << FIXED_POINT))
LONGEST_S = 1e9
"""Longest time that may be simulated, and longest time of most parameters."""
RAREST_S = 1e6
"""Longest mean time between reports: more would not fit into fixed-point numbers."""


class Kind(IntEnum):
    """What a frame is."""

    REQUEST = 0
    RESPONSE = 1
    REPORT = 2


class What(IntEnum):
    """What an event of the trace says. Its node acts; ``other`` is who is meant or was heard."""

    SENT = 0
    """A transmission has begun."""
    RECEIVED = 1
    """It came through where it was meant to, undisturbed."""
    CAPTURED = 2
    """It came through although another was heard there meanwhile."""
    LOST = 3
    """The noise took it."""
    COLLIDED = 4
    """It met another where it was meant to, and was lost."""
    DEAF = 5
    """Who was meant was sending."""
    DROPPED = 6
    """The queue of the node was full."""
    POLLED = 7
    """The concentrator has begun an exchange."""
    READ = 8
    """The response is with the concentrator."""
    FAILED = 9
    """The concentrator has given up."""
    RETRIED = 10
    """No answer in time: the node sends its request again."""
    GAVE_UP = 11
    """No answer to the last: a repeater falls silent."""
    REPORTED = 12
    """A meter has something to tell unasked."""
    DELIVERED = 13
    """Its report is with the concentrator."""


class Counter(IntEnum):
    """What is counted in each domain."""

    REQUESTS = 0
    RESPONSES = 1
    REPORTS = 2
    RECEIVED = 3
    CAPTURED = 4
    LOST = 5
    COLLIDED = 6
    DEAF = 7
    DROPPED = 8
    POLLS = 9
    READS = 10
    FAILURES = 11
    RETRIES = 12
    GAVE_UP = 13
    DUPLICATES = 14
    REPORTS_MADE = 15
    REPORTS_DELIVERED = 16
    AIRTIME_US = 17
    READ_LATENCY_US = 18
    REPORT_LATENCY_US = 19
    EVENTS = 20


class Number(IntEnum):
    """Columns of ``Domains.numbers``: times in microseconds, and counts."""

    AIRTIME = 0
    """Of a request with no leg behind it; then, by ``shape``, of the others."""
    BETA1_RECEIVE = 12
    BETA1_TRANSMIT = 13
    BETA2 = 14
    DETECT = 15
    PACKET_CYCLE = 16
    WINDOW = 17
    TURNAROUND = 18
    LEG_WAIT = 19
    RETRIES = 20
    POLL_EVERY = 21
    REPORT_MEAN = 22
    NODES = 23
    REPORTERS = 24


SHAPES = len(Kind) * MAX_LEGS
"""Lengths of frames that a domain has."""
assert int(Number.BETA1_RECEIVE) == SHAPES


def shape(kind: int, behind: int) -> int:
    """Place of a frame's length in the arrays: by its kind, and by the legs behind the one that it is on."""
    return kind * MAX_LEGS + behind


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be carried in a domain.

    ``poll_every_s``: from one exchange's begin to the next one's; 0 polls without a pause, None not at all. ``report_every_s``: mean
    time between two unasked reports of one meter, at random; None: none. ``request_bytes``, ``response_bytes``, ``report_bytes``:
    LPDUs without CRC. ``retries``: after how many more requests a hop gives up. ``turnaround_s``: what a node takes to answer or to
    hand on. ``leg_wait_s``: what a hop waits for each leg that request and response have still to go; None: one and a half times
    an undisturbed one with the longest back-off. Raises ConfigError for what cannot be.
    """

    poll_every_s: float | None = 0.0
    report_every_s: float | None = None
    request_bytes: int | tuple[int, ...] = 30
    response_bytes: int | tuple[int, ...] = 40
    report_bytes: int | tuple[int, ...] = 24
    retries: int = 3
    turnaround_s: float = 0.02
    leg_wait_s: float | None = None

    def __post_init__(self) -> None:
        for name, least, most in (
            ("poll_every_s", 0.0, LONGEST_S),
            ("report_every_s", 1e-3, RAREST_S),
            ("turnaround_s", 0.0, LONGEST_S),
            ("leg_wait_s", 1e-3, LONGEST_S),
        ):
            value = getattr(self, name)
            if value is None and name != "turnaround_s":
                continue
            if not (isinstance(value, (int, float)) and least <= value <= most):
                raise ConfigError(f"{name} cannot be {value!r}", hint=f"seconds, {least:g} to {most:g}")
        if not (isinstance(self.retries, int) and 0 <= self.retries <= 15):
            raise ConfigError(f"{self.retries} retries are not within 0 to 15")
        for size in (self.request_bytes, self.response_bytes, self.report_bytes):
            if isinstance(size, tuple) and len(size) != MAX_LEGS:
                raise ConfigError(f"{len(size)} lengths of a frame", hint=f"one, or {MAX_LEGS}: by the legs behind it")

    @property
    def sizes(self) -> list[int]:
        """Bytes of LPDUs by ``shape``."""
        found: list[int] = []
        for size in (self.request_bytes, self.response_bytes, self.report_bytes):
            found += size if isinstance(size, tuple) else [size] * MAX_LEGS
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """One domain: who hears whom, over which ways it is polled, with how much to carry.

    ``levels``: among all nodes, the concentrator first. ``ways``: for each node the legs from the concentrator, as (node, whether on
    the secondary carrier); empty for the concentrator, and for meters that cannot be reached. Raises ConfigError for a domain with
    more than 128 nodes, and for ways that lead nowhere, in circles, or over a link on which nothing arrives.
    """

    levels: Levels
    ways: Sequence[Sequence[tuple[int, bool]]]
    load: Load = field(default_factory=Load)
    profile: PhyProfile = OSGP

    def __post_init__(self) -> None:
        size = self.levels.size
        if not 2 <= size <= MAX_NODES:
            raise ConfigError(f"a domain has 2 to {MAX_NODES} nodes, not {size}")
        if len(self.ways) != size:
            raise ConfigError(f"{size} nodes have {size} ways, not {len(self.ways)}")
        for meter, way in enumerate(self.ways):
            nodes = [0, *(node for node, _ in way)]
            if not way:
                continue
            if meter == 0 or len(way) > MAX_LEGS or nodes[-1] != meter or len(set(nodes)) != len(nodes):
                raise ConfigError(
                    f"the way to node {meter} cannot be {list(way)}", hint="1 to 4 legs, the last to the node"
                )
            for sender, (receiver, secondary) in zip(nodes, way):
                if not 0 <= receiver < size:
                    raise ConfigError(f"the way to node {meter} leads over node {receiver}, which there is not")
                table = self.levels.ec_n0_db[secondary]
                if min(table[sender][receiver], table[receiver][sender]) < REACH_DB:
                    raise ConfigError(f"the way to node {meter}: nothing arrives between {sender} and {receiver}")

    @classmethod
    def planned(
        cls,
        levels: Levels,
        load: Load | None = None,
        *,
        curves: Curves | None = None,
        profile: PhyProfile = OSGP,
    ) -> Domain:
        """A domain with the best ways, over at most four legs."""
        load = load or Load()
        longest = max(load.sizes[shape(Kind.RESPONSE, 0) : shape(Kind.RESPONSE, MAX_LEGS)])
        found = routes(levels, curves or default_curves(), 0, lpdu_bytes=longest, max_legs=MAX_LEGS)
        ways = [[(leg.node, leg.secondary) for leg in way or ()] for way in found]
        return cls(levels, ways, load, profile)

    def numbers(self) -> list[int]:
        """What ``Number`` names. Raises ConfigError for lengths that the line does not carry."""
        profile, load = self.profile, self.load
        sizes = load.sizes
        for size in sizes:
            if not profile.min_lpdu <= size <= profile.max_lpdu:
                raise ConfigError(f"an LPDU of {size} bytes is not within {profile.min_lpdu} to {profile.max_lpdu}")
        detect_s = profile.detect_bits / profile.bit_rate
        if detect_s > min(profile.beta1_receive_s, profile.beta1_transmit_s):
            raise ConfigError("a carrier is to be noticed within beta 1", hint="detect_bits, beta1_receive_s")
        longest_s = (
            profile.airtime_s(max(sizes)) + profile.beta1_receive_s + W_BASE * profile.beta2_s + load.turnaround_s
        )
        wait_s = 1.5 * longest_s if load.leg_wait_s is None else load.leg_wait_s
        airtimes = [_us(profile.airtime_s(size)) for size in sizes]
        reporters = sum(1 for way in self.ways if way)
        return [
            *airtimes,
            _us(profile.beta1_receive_s),
            _us(profile.beta1_transmit_s),
            _us(profile.beta2_s),
            _us(detect_s),
            _us(profile.packet_cycle_s),
            W_BASE,
            _us(load.turnaround_s),
            _us(wait_s),
            load.retries,
            NOTHING if load.poll_every_s is None or not reporters else _us(load.poll_every_s),
            NOTHING if load.report_every_s is None or not reporters else max(1, _us(load.report_every_s / reporters)),
            self.levels.size,
            reporters,
        ]


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


def level_index(ec_n0_db: float) -> int:
    """A level as the arrays have it, in quarters of a decibel above ``REACH_DB``; ``NOTHING`` below that."""
    if not ec_n0_db >= REACH_DB:
        return NOTHING
    return round((min(ec_n0_db, TOP_DB) - REACH_DB) * STEPS_PER_DB)


LEVELS = level_index(TOP_DB) + 1
"""Number of levels that something arrives at."""


@dataclass(frozen=True, slots=True, eq=False)
class Domains:
    """Any number of domains as arrays; D different ones, M altogether, N nodes at most.

    ``which`` (M): which of the different ones each is. ``numbers`` (D, ``Number``). ``sizes`` (D, ``SHAPES``): bytes of LPDUs.
    ``level`` (D, 2 carriers, N senders, N receivers), ``level_index`` or ``NOTHING``. ``sense`` (D, 2, N senders, 2 words): who senses
    the carrier, node n as bit n % 64 of word n // 64. ``way`` (D, N, 5): nodes from the concentrator on. ``way_carrier`` (D, N, 4): 1
    for secondary. ``legs`` (D, N). ``reporters`` (D, N): the meters that have a way, in order. ``curve`` (D, N, 2 carriers,
    ``SHAPES``): row of ``chance`` for a receiver. ``chance`` (rows, LEVELS): of coming through, out of ``CERTAIN``. ``power`` (LEVELS)
    of a level. ``rise``: least noise and disturbance together that lowers a signal by so many levels. ``logarithm``: of 1 to 2, as
    fixed-point numbers.
    """

    which: Any
    numbers: Any
    sizes: Any
    level: Any
    sense: Any
    way: Any
    way_carrier: Any
    legs: Any
    reporters: Any
    curve: Any
    chance: Any
    power: Any
    rise: Any
    logarithm: Any

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.which)

    @classmethod
    def of(cls, domains: Sequence[Domain], curves: Curves | None = None) -> Domains:
        """Arrays of these domains; one that occurs again costs nothing. ``curves``: of packet loss, the package's by default.

        Raises ConfigError for no domains, and for a scenario without curve.
        """
        if not domains:
            raise ConfigError("there is no domain to simulate")
        curves = curves or default_curves()
        places: dict[int, int] = {}
        which = [places.setdefault(id(domain), len(places)) for domain in domains]
        different = list({id(domain): domain for domain in domains}.values())
        size = max(domain.levels.size for domain in different)
        count = len(different)
        level = np.full((count, 2, size, size), NOTHING, np.int16)
        sense = np.zeros((count, 2, size, 2), np.uint64)
        way = np.zeros((count, size, MAX_LEGS + 1), np.uint8)
        way_carrier = np.zeros((count, size, MAX_LEGS), np.uint8)
        legs = np.zeros((count, size), np.uint8)
        reporters = np.zeros((count, size), np.uint8)
        curve = np.zeros((count, size, 2, SHAPES), np.int32)
        rows: dict[tuple[str, bool, int], int] = {}
        for place, domain in enumerate(different):
            load = domain.load
            for carrier, table in enumerate(domain.levels.ec_n0_db):
                _enter(table, level[place, carrier], sense[place, carrier])
            for meter, legs_of in enumerate(domain.ways):
                legs[place, meter] = len(legs_of)
                for leg, (node, secondary) in enumerate(legs_of):
                    way[place, meter, leg + 1] = node
                    way_carrier[place, meter, leg] = secondary
            meters = [meter for meter, legs_of in enumerate(domain.ways) if legs_of]
            reporters[place, : len(meters)] = meters
            for node, scenario in enumerate(domain.levels.scenario):
                for secondary in (False, True):
                    for each, lpdu_bytes in enumerate(load.sizes):
                        key = scenario, secondary, lpdu_bytes
                        curve[place, node, int(secondary), each] = rows.setdefault(key, len(rows))
        chance = np.array([_chances(curves, *key) for key in rows], np.int64)
        return cls(
            np.array(which, np.int32),
            np.array([domain.numbers() for domain in different], np.int64),
            np.array([domain.load.sizes for domain in different], np.int64),
            level,
            sense,
            way,
            way_carrier,
            legs,
            reporters,
            curve,
            chance,
            np.array(
                [round(NOISE * 10 ** (REACH_DB / 10 + at / (10 * STEPS_PER_DB))) for at in range(LEVELS)], np.int64
            ),
            np.array([round(NOISE * 10 ** (at / (10 * STEPS_PER_DB))) for at in range(LEVELS + 1)], np.int64),
            np.array(
                [round(math.log1p(at / (1 << LOG_BITS)) * (1 << FIXED_POINT)) for at in range(1 << LOG_BITS)], np.int64
            ),
        )


def _enter(table: Sequence[Sequence[float]], level: Any, sense: Any) -> None:
    for sender, row in enumerate(table):
        for receiver, ec_n0_db in enumerate(row):
            if sender == receiver:
                continue
            level[sender, receiver] = level_index(ec_n0_db)
            if ec_n0_db >= SENSE_DB:
                sense[sender, receiver // 64] |= np.uint64(1 << receiver % 64)


def _chances(curves: Curves, scenario: str, secondary: bool, lpdu_bytes: int) -> list[int]:
    chances = []
    for at in range(LEVELS):
        hazard = curves.hazard(scenario, secondary, REACH_DB + at / STEPS_PER_DB, lpdu_bytes)
        chances.append(0 if hazard >= NEVER else round(CERTAIN * math.exp(-hazard)))
    return chances


def street(
    meters: int,
    rng: random.Random,
    load: Load | None = None,
    *,
    length_m: float = 1000.0,
    loss_db_per_km: float = 50.0,
    noise_dbuv: float = 60.0,
    scenario: str = "Q",
    curves: Curves | None = None,
) -> Domain:
    """A domain of meters scattered along a feeder, three phases, the concentrator at its beginning on all of them.

    Levels as in the digest 3.6 a: 117 dBµV, the loss of the cable, 15 dB between phases, a random part of 6 dB for each pair, and
    noise that differs by 3 dB from place to place; the secondary carrier differs from the primary by a random 3 dB. Raises ConfigError
    for fewer than one meter or more than 127.
    """
    if not 1 <= meters < MAX_NODES:
        raise ConfigError(f"a domain has 1 to {MAX_NODES - 1} meters, not {meters}")
    places = [0.0, *sorted(rng.uniform(0.0, length_m) for _ in range(meters))]
    phases = [rng.randrange(3) for _ in places]
    noises = [noise_dbuv + rng.gauss(0.0, 3.0) for _ in places]
    size = len(places)
    tables = [[[math.inf] * size for _ in range(size)] for _ in range(2)]
    for one in range(size):
        for other in range(one):
            loss = loss_db_per_km * (places[one] - places[other]) / 1000 + rng.gauss(0.0, 6.0)
            if other and phases[one] != phases[other]:
                loss += 15.0
            for table, more in zip(tables, (0.0, rng.gauss(0.0, 3.0))):
                signal_dbuv = 117.0 - max(0.0, loss + more)
                table[one][other] = signal_dbuv - noises[other]
                table[other][one] = signal_dbuv - noises[one]
    return Domain.planned(Levels((tables[0], tables[1]), (scenario,) * size), load, curves=curves)
