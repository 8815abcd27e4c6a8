"""Who the nodes of a simulated domain are: identities, keys by the hierarchy of the AES-128 suite, and what hangs on each meter.

All of it follows from the seed and the domain's place in the list, whatever else is simulated. Keys are derived as commissioning does
it (``spec/osgp-application.md`` 3.1): a UMK for each meter, from it the PSK of its concentrator, from both randoms of a handshake the
KU. The handshake itself is not on the line: the simulation begins when it is over, and the number 1 has been used by the read that
committed the key set (3.7). Loads are a project choice: each meter draws and feeds in at steady powers of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from osgp.app.aes import psk_of, session_keys
from osgp.app.profile import OsgpProfile
from osgp.app.suite import Address
from osgp.crypto.keys import Key
from osgp.node.energy import FLOWS, PER_WH
from osgp.sim.domains.content.ccm import BatchCipher
from osgp.sim.domains.content.frames import DOMAIN_SIZE, address_of

__all__ = ["FIRST_NUMBER", "MOST_DOMAINS", "Energy", "Meter", "Meters", "counts", "steady"]

FIRST_NUMBER = 2
"""SEQ of a meter's first poll."""
EPOCH, GENERATION = 1, 1
MOST_DOMAINS = (1 << 8 * DOMAIN_SIZE) - 1
_RANDOM = 32
"""Bytes of each random of a handshake."""
_UNKNOWN = 16

Energy = Callable[["Meters", Any, Any], Any]
"""What has flowed at some meters (numbers of nodes) until some moments (ms since the beginning, same length): int64 (N, FLOWS) of µWs,
µvar·s and µVA·s, from the making of the meter on."""

_SUMS = {
    0: (0,), 1: (1,), 2: (2, 3), 3: (4, 5), 6: (0, 1), 108: (2,), 109: (3,), 110: (4,), 111: (5,),
    245: (6,), 246: (7,), 247: (8,), 248: (9,),
}  # fmt: skip
"""Flows that a register counts, by its source ID, as ``node.registers`` has it."""
_NET = 7


@dataclass(frozen=True, slots=True)
class Meter:
    """One meter as an ordinary node would know itself. The two randoms are those of its handshake."""

    unique_node_id: bytes
    concentrator_id: bytes
    address: Address
    umk: Key
    rc: bytes
    rd: bytes

    def psk(self, profile: OsgpProfile) -> Key:
        """What its concentrator was given."""
        return psk_of(self.umk, self.unique_node_id, self.concentrator_id, EPOCH, profile)

    def ku(self, profile: OsgpProfile) -> Key:
        """The unicast key."""
        suite = profile.limits.suite
        psk = self.psk(profile)
        return session_keys(psk, self.rc, self.concentrator_id, self.rd, self.unique_node_id, suite, profile).ku


class Meters:
    """The meters of a domain with that many nodes. ``number``: of the domain, from 0, at most ``MOST_DOMAINS`` - 1."""

    def __init__(self, number: int, nodes: int, seed: int, profile: OsgpProfile) -> None:
        self.number = number
        self.nodes = nodes
        self.profile = profile
        self.domain = (number + 1).to_bytes(DOMAIN_SIZE, "big")
        self._chance = random.Random(f"contents of {number} under {seed}")
        self._secret = self._chance.randbytes(nodes * (_UNKNOWN + 2 * _RANDOM))
        self._ciphers: dict[int, BatchCipher] = {}

    def __repr__(self) -> str:
        return f"Meters({self.domain.hex()}, {self.nodes} nodes, keys hidden)"

    def identity(self, node: int) -> bytes:
        """The unique node ID of a node."""
        return bytes([0x02, 0]) + self.domain + bytes([node])

    def meter(self, node: int) -> Meter:
        """The meter at a node."""
        each = _UNKNOWN + 2 * _RANDOM
        secret = self._secret[node * each : (node + 1) * each]
        place = address_of(node)
        return Meter(
            self.identity(node),
            self.identity(0),
            Address(self.domain, place.subnet, place.node),
            Key(secret[:_UNKNOWN]),
            secret[_UNKNOWN:-_RANDOM],
            secret[-_RANDOM:],
        )

    def cipher(self, node: int) -> BatchCipher:
        """The cipher under a meter's unicast key, made when it is first asked for."""
        found = self._ciphers.get(node)
        if found is None:
            found = self._ciphers[node] = BatchCipher(self.meter(node).ku(self.profile))
        return found

    @cached_property
    def addresses(self) -> Any:
        """(nodes, 2) uint8: subnet and node."""
        return np.array([(place.subnet, place.node) for place in map(address_of, range(self.nodes))], np.uint8)

    @cached_property
    def nonce_tails(self) -> Any:
        """(nodes, 8) uint8: unique node ID and generation, as they stand in each nonce."""
        return _bytes([self.identity(node) + GENERATION.to_bytes(2, "big") for node in range(self.nodes)])

    @cached_property
    def additional(self) -> Any:
        """(nodes, 9) uint8: with what additional data begin, DOM, subnet and node."""
        return _bytes([self._said(node) for node in range(self.nodes)])

    def _said(self, node: int) -> bytes:
        place = address_of(node)
        return Address(self.domain, place.subnet, place.node).dom + bytes([place.subnet, place.node])

    @cached_property
    def loads(self) -> tuple[Any, Any]:
        """(nodes, FLOWS) int64: what was on the registers when the meter came, and steady powers, mW, mvar and mVA."""
        dice = np.random.default_rng(self._chance.getrandbits(64))
        power = np.zeros((self.nodes, len(FLOWS)), np.int64)
        power[:, 0] = dice.integers(60_000, 1_500_000, self.nodes)
        sunny = dice.random(self.nodes) < 0.2
        power[:, 1] = np.where(sunny, dice.integers(100_000, 900_000, self.nodes), 0)
        power[:, 2] = power[:, 0] * dice.integers(5, 40, self.nodes) // 100
        power[:, 3] = power[:, 1] * dice.integers(0, 10, self.nodes) // 100
        power[:, 6] = power[:, 0] + power[:, 2]
        power[:, 7] = power[:, 1] + power[:, 3]
        before = dice.integers(0, 5 * 365 * 24, self.nodes)[:, None] * power * 3_600_000
        return before, power


def steady(meters: Meters, nodes: Any, at_ms: Any) -> Any:
    """``Energy`` of the steady loads."""
    before, power = meters.loads
    return before[nodes] + power[nodes] * at_ms[:, None]


def counts(flows: Any, sources: tuple[int, ...], scales: Sequence[int]) -> Any:
    """What registers of these sources show (N, sources), int64: whole Wh, as ``node.registers`` counts, in units of so many each."""
    shown = np.zeros((len(flows), len(sources)), np.int64)
    for column, (source, scale) in enumerate(zip(sources, scales, strict=True)):
        if source == _NET:
            shown[:, column] = np.maximum(0, flows[:, 0] - flows[:, 1]) // PER_WH // scale
        elif source in _SUMS:
            shown[:, column] = flows[:, list(_SUMS[source])].sum(1) // PER_WH // scale
    return shown


def _bytes(rows: list[bytes]) -> Any:
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)
