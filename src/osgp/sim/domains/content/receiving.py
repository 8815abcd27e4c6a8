"""The other end: what the nodes that frames come to make of them, from the bytes and from what such a node knows.

CRC, address, form, tag, counter, contents, in this order; what fails is refused and has no effect, as in ``osgp.app.device`` and
``osgp.app.peer``. A repeater looks no further than to the list of those to come. Nothing of the trace is asked, except when and where
a frame came. Project choice in form, the rules are those of ``spec/osgp-application.md`` 3.3 to 3.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np

from osgp.lon import crc
from osgp.lon.apdu import PROXY
from osgp.lon.crc import CRC_SIZE, RESIDUE
from osgp.lon.headers import ANSWER, MESSAGE, write_pdu
from osgp.lon.lpdu import Lpdu
from osgp.lon.ltep import Ltep, LtepHeader, TargetControl, TargetType
from osgp.lon.npdu import AddressFormat, NetworkControl, NodeByte, Npdu, PduType, domain_code
from osgp.lon.tpdu import SpduHeader
from osgp.sim.domains.content.frames import DOMAIN_SIZE
from osgp.sim.domains.content.messages import Contents, places
from osgp.sim.domains.content.meters import FIRST_NUMBER, Meters
from osgp.sim.domains.content.secured import Security
from osgp.sim.domains.model import Kind

__all__ = ["Checked", "Readings", "Verdict", "Waited", "crc_tables", "received"]


class Verdict(IntEnum):
    """What became of a frame where it came."""

    HANDED_ON = 0
    """For somebody further on."""
    ACCEPTED = 1
    REPEATED = 2
    """The very request that was answered last: the stored response goes out again."""
    UNEXPECTED = 3
    """An answer that nobody waits for."""
    REPLAYED = 4
    """A good tag and a counter that was used."""
    BAD_CRC = 5
    MISDIRECTED = 6
    """For another node, or another domain."""
    UNREADABLE = 7
    """No form that is known here."""
    BAD_TAG = 8
    """Not the tag that our key gives, or no key in the slot that the code names."""
    BAD_CONTENTS = 9
    """A good answer with another content than was asked for."""


_REQUEST_HERE, _RESPONSE_HERE, _ALERT_HERE = 20, 21, 22


@dataclass(frozen=True, slots=True)
class Waited:
    """What the concentrator knows of its exchanges: of each the ``meter`` (node), its ``transaction`` number, its request as sent
    (``requests``).

    ``asked``: for each frame the exchange that was open when it came, -1 for none (and wherever it is not the concentrator's).
    ``first_node``: for each node the first one on its way; 0 for those that have none."""

    meter: Any
    transaction: Any
    requests: Any
    asked: Any
    first_node: Any


@dataclass(frozen=True, slots=True)
class Readings:
    """Registers as the concentrator has them: ``meter`` (node), ``time_us`` of arrival, ``values`` (N, registers), int64, by
    ``Contents.names``."""

    meter: Any
    time_us: Any
    values: Any


@dataclass(frozen=True, slots=True)
class Checked:
    """``verdict`` of each frame; ``readings`` in the order in which they came; ``alerts``: node, time of arrival (µs), number of the
    log entry, a row each; ``uses``: of each node's unicast key as its meter counts them (ET54.82), good requests and bad ones;
    ``tags``: how many were computed and compared."""

    verdict: Any
    readings: Readings
    alerts: Any
    uses: Any
    tags: int


@lru_cache(maxsize=1)
def crc_tables() -> Any:
    """``osgp.lon.crc.crc_tables`` as compiled code takes it: (8, 256)."""
    return np.array(crc.crc_tables(), np.uint16)


@lru_cache(maxsize=1)
def _source() -> tuple[int, int]:
    """Where subnet and node of the sender stand in a frame."""
    base = places(Lpdu, bytes(8))["npdu"][0]
    found = places(Npdu, bytes(8))
    return base + found["source_subnet"][0], base + found["source_node"][0]


@lru_cache(maxsize=1)
def _forms() -> tuple[Any, Any, int, Any]:
    """Where headers have what: see ``kernels.check``."""
    control = NetworkControl(domain_length=domain_code(bytes(DOMAIN_SIZE)), address_format=AddressFormat.SUBNET_NODE)
    session, plain = control.with_(pdu_type=PduType.SPDU), control.with_(pdu_type=PduType.APDU)
    npdu = Npdu(
        control=session,
        source_node=NodeByte(selector=1),
        destination_subnet=0,
        destination_node=NodeByte(selector=1),
        domain=bytes(DOMAIN_SIZE),
        pdu=b"\0",
    ).encode()
    base = places(Lpdu, b"\0" + npdu)["npdu"][0]
    at = {name: base + offset for name, (offset, _) in places(Npdu, npdu).items()}
    header = np.array(
        [
            *(at[name] for name in ("control", "destination_subnet", "destination_node", "domain", "pdu")),
            NodeByte.fields["node"].mask,
            at["pdu"] + CRC_SIZE,
        ],
        np.int64,
    )
    first = np.array(
        [
            int(session),
            write_pdu(True, MESSAGE, 0)[0],
            write_pdu(True, ANSWER, 0)[0],
            SpduHeader.fields["transaction"].mask,
        ],
        np.int64,
    )
    uniform = LtepHeader.fields["uniform_by_source"].mask | LtepHeader.fields["uniform_by_destination"].mask
    kind = TargetControl.fields["target_type"]
    low = 8 * (TargetControl.size - 1)
    chain = np.array(
        [
            PROXY,
            places(Ltep, Ltep(apdu=b"\0", **_target(TargetType.GROUP_COMPACT)).encode())["header"][0],
            LtepHeader.fields["count"].mask,
            uniform,
            kind.mask >> low,
            kind.lsb - low,
            *(_target_size(each) for each in TargetType),
        ],
        np.int64,
    )
    return header, first, int(plain), chain


def _target(kind: TargetType) -> dict[str, Any]:
    """A target of that kind, for its size."""
    values: dict[str, Any] = {"control": TargetControl(target_type=int(kind))}
    if kind in (TargetType.SUBNET_NODE, TargetType.UNIQUE_NODE_ID, TargetType.BROADCAST):
        values["target_subnet"] = 0
    if kind in (TargetType.GROUP, TargetType.GROUP_COMPACT):
        values["target_group"] = 0
    if kind is TargetType.GROUP:
        values["target_size"] = 0
    if kind is TargetType.BROADCAST:
        values["target_backlog"] = 0
    if kind in (TargetType.SUBNET_NODE, TargetType.SUBNET_NODE_OF_SOURCE, TargetType.SUBNET_NODE_OF_AGENT):
        values["target_node"] = 0
    if kind in (TargetType.UNIQUE_NODE_ID, TargetType.UNIQUE_NODE_ID_COMPACT):
        values["target_unique_node_id"] = bytes(6)
    return values


def _target_size(kind: TargetType) -> int:
    found = places(Ltep, Ltep(apdu=b"\0", **_target(kind)).encode())
    return found["apdu"][0] - sum(found["control"])


def received(
    meters: Meters, contents: Contents, frames: Any, sizes: Any, receiver: Any, time_us: Any, waited: Waited
) -> Checked:
    """What the nodes of a domain make of frames, uint8 (N, longest), of ``sizes`` bytes each, that came to ``receiver``, in order."""
    from osgp.sim.domains.content import kernels

    header, first, plain, chain = _forms()
    count = len(frames)
    verdict, body_at = np.empty(count, np.int8), np.empty(count, np.int16)
    here = (_REQUEST_HERE, _RESPONSE_HERE, _ALERT_HERE)
    codes = contents.profile.codes
    kernels.check(
        frames, sizes, receiver, meters.addresses, np.frombuffer(meters.domain, np.uint8), header, first, plain, chain,
        np.array([codes.request, codes.alert], np.int64), np.array(contents.apdu_sizes, np.int64), crc_tables(), RESIDUE,
        np.array([Verdict.HANDED_ON, *here, Verdict.BAD_CRC, Verdict.MISDIRECTED, Verdict.UNREADABLE], np.int64),
        verdict, body_at,
    )  # fmt: skip
    end = _End(meters, contents, frames, receiver, verdict, body_at)
    uses = end.requests()
    readings = end.responses(time_us, waited)
    alerts = end.alerts(time_us, waited.first_node)
    return Checked(verdict, readings, alerts, uses, end.tags)


class _End:
    def __init__(
        self, meters: Meters, contents: Contents, frames: Any, receiver: Any, verdict: Any, body_at: Any
    ) -> None:
        self.meters = meters
        self.contents = contents
        self.security = Security(meters, contents)
        self.frames, self.receiver, self.verdict, self.body_at = frames, receiver, verdict, body_at
        self.tags = 0

    def _bodies(self, rows: Any, kind: Kind) -> Any:
        """The secured messages of rows, which all begin at one place."""
        begin = int(self.body_at[rows[0]])
        return self.frames[rows, begin : begin + self.contents.apdu_sizes[kind]]

    def _judged(
        self, rows: Any, owners: Any, kind: Kind, good: Any, bodies: Any, least: int, repeated: Verdict
    ) -> None:
        from osgp.sim.domains.content import kernels

        numbers = self.security.counters(kind, bodies).view(">u4")[:, 0].astype(np.int64)
        verdict = np.empty(len(rows), np.int8)
        kernels.judge(
            owners, numbers, good, bodies, np.full(self.meters.nodes, least - 1, np.int64),
            self.contents.profile.limits.max_counter,
            np.array([Verdict.ACCEPTED, repeated, Verdict.REPLAYED, Verdict.BAD_TAG], np.int64), verdict,
        )  # fmt: skip
        self.verdict[rows] = verdict

    def requests(self) -> Any:
        """Those that are at their meter; how often each key was used."""
        rows = np.flatnonzero(self.verdict == _REQUEST_HERE)
        if not len(rows):
            return np.zeros(self.meters.nodes, np.int64)
        rows = rows[np.argsort(self.receiver[rows], kind="stable")]
        owners, bodies = self.receiver[rows], self._bodies(rows, Kind.REQUEST)
        plaintexts, good = self.security.open_requests(owners, bodies)
        self.tags += len(rows)
        self._judged(rows, owners, Kind.REQUEST, good, bodies, FIRST_NUMBER, Verdict.REPEATED)
        wanted = np.frombuffer(self.contents.request, np.uint8)
        others = (self.verdict[rows] == Verdict.ACCEPTED) & (plaintexts != wanted).any(1)
        self.verdict[rows[others]] = Verdict.BAD_CONTENTS
        # A repeat is answered before anything is computed.
        return np.bincount(owners[self.verdict[rows] != Verdict.REPEATED], minlength=self.meters.nodes)

    def responses(self, time_us: Any, waited: Waited) -> Readings:
        """Those that are at the concentrator."""
        rows = np.flatnonzero(self.verdict == _RESPONSE_HERE)
        contents = self.contents
        self.verdict[rows] = Verdict.UNEXPECTED
        rows = rows[waited.asked[rows] >= 0]
        header, first, _, _ = _forms()
        spoken = self.frames[rows, header[4]] & first[3]
        rows = rows[spoken == waited.transaction[waited.asked[rows]]]
        if not len(rows):
            nothing = np.zeros(0, np.int64)
            return Readings(nothing, nothing, np.zeros((0, contents.count), np.int64))
        owners = waited.meter[waited.asked[rows]]
        order = np.argsort(owners, kind="stable")
        rows, owners = rows[order], owners[order]
        asked = waited.asked[rows]
        plaintexts, good = self.security.open_responses(
            owners, self._bodies(rows, Kind.RESPONSE), waited.requests[asked]
        )
        self.tags += len(rows)
        head = contents.values_at
        right = (plaintexts[:, :head] == np.frombuffer(contents.answer, np.uint8)[:head]).all(1)
        # One answer to an exchange: the first good one ends it.
        taken = np.flatnonzero(good)
        _, firsts = np.unique(asked[taken], return_index=True)
        once = np.zeros(len(rows), bool)
        once[taken[firsts]] = True
        self.verdict[rows] = np.select(
            [~good, ~once, ~right], [Verdict.BAD_TAG, Verdict.UNEXPECTED, Verdict.BAD_CONTENTS], Verdict.ACCEPTED
        )
        taken = np.flatnonzero(once & right)
        taken = taken[np.argsort(rows[taken])]
        values = np.ascontiguousarray(plaintexts[taken, head:]).view("<i4") * np.array(contents.scales, np.int64)
        return Readings(owners[taken].astype(np.int64), time_us[rows[taken]], values)

    def alerts(self, time_us: Any, first_node: Any) -> Any:
        """Those that are at the concentrator. The last leg does not name the meter: the keys of all behind that address are tried."""
        rows = np.flatnonzero(self.verdict == _ALERT_HERE)
        header, _, _, _ = _forms()
        contents, addresses = self.contents, self.meters.addresses
        self.verdict[rows] = Verdict.BAD_TAG
        subnet_at, node_at = _source()
        subnet, node = self.frames[rows, subnet_at], self.frames[rows, node_at] & header[5]
        source = np.full((256, 256), -1, np.int16)
        source[addresses[:, 0], addresses[:, 1]] = np.arange(len(addresses))
        alert, owners = np.nonzero(source[subnet, node][:, None] == first_node[None, :])
        if not len(alert):
            return np.zeros((0, 3), np.int64)
        order = np.argsort(owners, kind="stable")
        alert, owners = alert[order], owners[order]
        bodies = self._bodies(rows, Kind.REPORT)[alert]
        plaintexts, good = self.security.open_alerts(owners, bodies)
        self.tags += len(alert)
        alert, owners, bodies, plaintexts = alert[good], owners[good], bodies[good], plaintexts[good]
        if not len(alert):
            return np.zeros((0, 3), np.int64)
        mine = rows[alert]
        # An alert has no answer, so the very same once more is a replay.
        self._judged(mine, owners, Kind.REPORT, np.ones(len(mine), bool), bodies, 1, Verdict.REPLAYED)
        told = contents.alert_places
        fixed = np.ones(len(contents.alert), bool)
        for name in ("time", "log_sequence"):
            offset, size = told[name]
            fixed[offset : offset + size] = False
        wanted = np.frombuffer(contents.alert, np.uint8)
        accepted = self.verdict[mine] == Verdict.ACCEPTED
        right = (plaintexts[:, fixed] == wanted[fixed]).all(1)
        self.verdict[mine[accepted & ~right]] = Verdict.BAD_CONTENTS
        taken = np.flatnonzero(accepted & right)
        taken = taken[np.argsort(mine[taken])]
        offset, size = told["log_sequence"]
        entries = np.ascontiguousarray(plaintexts[taken, offset : offset + size]).view("<u4")[:, 0]
        return np.stack([owners[taken], time_us[mine[taken]], entries], 1).astype(np.int64)
