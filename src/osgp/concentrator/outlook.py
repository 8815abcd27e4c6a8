"""What pages ask of a concentrator beyond ``status``: one device with all that its journal holds of it, and what to draw it as.

Plain data, the same in the process and over the status socket. Keys are never in it, only how far they have come. Project choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osgp.app.legacy import LegacyPeer
from osgp.app.peer import PeerSecurity
from osgp.concentrator.core import Concentrator
from osgp.concentrator.topology import Node, Topology
from osgp.tables.table import PENDING, table_name
from osgp.wire.errors import ConfigError

__all__ = ["asked_device", "asked_table", "device_details", "shapes"]

_DAY_S = 86400
_MOST_DAYS = 60
_EVENTS = 100
_JOBS = 50
_READS = 30


def asked_device(
    asked: Mapping[str, Any], concentrator: Concentrator, topology: Topology, now: float
) -> dict[str, Any]:
    """The answer to ``{"do": "device", "unique_node_id": "0500…", "days": 7}``. Raises ConfigError for a device that is not known."""
    node = _node(asked, topology)
    days = asked.get("days", 7)
    if type(days) is not int or not 0 <= days <= _MOST_DAYS:
        raise ConfigError(f"days is a number from 0 to {_MOST_DAYS}")
    return device_details(node, concentrator, topology, now, days=days)


def asked_table(asked: Mapping[str, Any], concentrator: Concentrator, topology: Topology) -> dict[str, Any]:
    """The answer to ``{"do": "table", "unique_node_id": "0500…", "table": 23}``: the newest bytes that are kept of a table, or those
    of ``read``, as (offset, hexadecimal), with the tables that lay it out. Raises ConfigError for what is not known."""
    node = _node(asked, topology)
    table, wanted = asked.get("table"), asked.get("read")
    if type(table) is not int or not (wanted is None or type(wanted) is int):
        raise ConfigError("table and read are numbers")
    journal = concentrator.journal
    row = next((each for each in journal.devices() if each.number == node.device), None)
    reads = [] if row is None else journal.raw_reads(row.number, table, _READS)
    chosen = next((each for each in reads if wanted is None or each[0] == wanted), None)
    if row is None or chosen is None:
        which = table_name(table) if 0 <= table < 2 * PENDING else f"table {table}"
        raise ConfigError(
            f"no bytes of {which} are kept of {node.unique_node_id.hex()}" + (" under this number" if reads else ""),
            hint="the page of the device lists the tables that were read",
        )
    number, time, wall, _ = chosen
    return {
        "table": table,
        "read": number,
        "time": time,
        "wall": wall,
        "parts": [[offset, content.hex()] for offset, content in journal.raw_parts(number)],
        "dimensions": {str(each): content.hex() for each, content in row.dimensions.items() if each >= 0},
        "reads": [{"read": each, "time": at, "wall": ours, "bytes": size} for each, at, ours, size in reads],
    }


def _node(asked: Mapping[str, Any], topology: Topology) -> Node:
    try:
        unique_node_id = bytes.fromhex(str(asked.get("unique_node_id", "")))
    except ValueError as error:
        raise ConfigError("unique_node_id is twelve hexadecimal digits") from error
    node = topology.nodes.get(unique_node_id)
    if node is None:
        raise ConfigError(
            f"there is no device {unique_node_id.hex()}", hint="`osgp concentrator devices` lists those that are known"
        )
    return node


def device_details(
    node: Node, concentrator: Concentrator, topology: Topology, now: float, *, days: int = 7
) -> dict[str, Any]:
    """Everything about a device; of its load profiles the last ``days`` up to its newest interval."""
    number, journal = node.device, concentrator.journal
    kept = next((row for row in journal.devices() if row.number == number), None)
    newest = None if kept is None else journal.newest_interval(number)
    since = 0 if newest is None else newest - days * _DAY_S - 1
    return {
        "now": now,
        "wall": concentrator.wall(),
        "node": topology.node_status(node, now),
        "status": None if kept is None else concentrator.device_status(number),
        "facts": {} if kept is None else kept.facts,
        "readings": [
            {"name": name, "time": time, "value": value, "unit": unit, "wall": wall}
            for name, time, value, unit, wall in ([] if kept is None else journal.latest(number))
        ],
        "profiles": [] if kept is None else journal.profiles(number, since=since),
        "events": [] if kept is None else _events(concentrator, number),
        "tables": [
            {"table": table, "reads": count, "time": time, "wall": wall}
            for table, count, time, wall in ([] if kept is None else journal.raw_tables(number))
        ],
        "links": _links(node, topology),
        "keys": _keys(concentrator, number),
        "jobs": [] if kept is None else _jobs(concentrator, number),
    }


def _events(concentrator: Concentrator, number: int) -> list[dict[str, Any]]:
    """Entries of the device's own logs, newest first."""
    return [
        {"log": log, "sequence": sequence, "time": time, "text": text}
        for log in concentrator.config.collection.logs
        for sequence, time, text, _ in concentrator.journal.events_of(number, log, _EVENTS)
    ]


def _links(node: Node, topology: Topology) -> list[dict[str, Any]]:
    """Whom the device hears and who hears it, on each carrier; None where a direction is not known."""
    found: dict[tuple[str, bool], dict[str, Any]] = {}
    own = node.unique_node_id
    for listener, speaker, alternate, half in topology.graph.halves():
        if own not in (listener, speaker):
            continue
        other = (speaker if listener == own else listener).hex() or "concentrator"
        row = found.setdefault(
            (other, alternate), {"to": other, "alternate": alternate, "heard_db": None, "heard_by_db": None}
        )
        row["heard_db" if listener == own else "heard_by_db"] = half.margin_db
    return [found[key] for key in sorted(found)]


def _keys(concentrator: Concentrator, number: int) -> dict[str, Any] | None:
    """How far the keys of a device have come; None if it has none of ours."""
    peer = concentrator.peers.get(number)
    sealer = None if peer is None else peer.sealer
    if isinstance(sealer, LegacyPeer):
        return {"suite": "legacy", "writes": sealer.writes, "uses": sealer.uses, "quarantined": sealer.quarantined}
    if not isinstance(sealer, PeerSecurity):
        return None
    return {
        "suite": "AES-128",
        "ready": sealer.ready,
        "pending": sealer.pending,
        "epoch": sealer.epoch_in_force,
        "unicast_generation": sealer.ku_generation,
        "broadcast_generation": sealer.kb_generation,
        "uses": sealer.uses,
        "renewal_due": sealer.renewal_due(),
    }


def _jobs(concentrator: Concentrator, number: int) -> list[dict[str, Any]]:
    """The newest jobs that have to do with a device, and how far they have come there."""
    found: list[dict[str, Any]] = []
    for job, kind, _, state, created, _, _, label in concentrator.journal.jobs()[::-1]:
        for device, here, attempts, wall, _ in concentrator.journal.results(job):
            if device == number:
                row = {"number": job, "kind": kind, "label": label, "state": state, "created": created}
                found.append({**row, "here": here, "attempts": attempts, "wall": wall})
        if len(found) >= _JOBS:
            break
    return found


def shapes(concentrator: Concentrator, simulated: Mapping[str, str]) -> dict[str, Any]:
    """The answer to ``{"do": "shapes"}`` where there is no drawing: names by unique node ID, and kinds as far as they are known.

    ``simulated``: kinds of devices that are simulated here; what a real one is stands in none of its tables.
    """
    rows = concentrator.journal.devices()
    return {
        "kinds": dict(simulated),
        "names": {row.unique_node_id.hex(): row.name for row in rows},
        "places": {},
        "cables": [],
    }
