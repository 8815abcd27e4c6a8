"""A concentrator that says what a test wants: hostile names, hundreds of devices, changes, nothing at all."""

from __future__ import annotations

from typing import Any

from osgp.wire.errors import ConfigError, NoAnswer
from tests.web.sample import HOSTILE, sample_tables

START = 1_780_000_200.0
ROOT = "concentrator"
NOTHING = object()


def node_id(index: int) -> str:
    return f"0500000000{index:02x}" if index < 256 else f"05000000{index:04x}"


def node(index: int, state: str, way: list[int], backup: list[int], name: str) -> dict[str, Any]:
    return {
        "unique_node_id": node_id(index),
        "device": index,
        "name": name,
        "state": state,
        "standing": "ours",
        "reason": "",
        "address": f"1/{index + 1}",
        "way": [node_id(each) for each in way] or None,
        "backup": [node_id(each) for each in backup] or None,
        "way_alternate": [False for _ in way],
        "backup_alternate": [False for _ in backup],
        "cost": 3.0,
        "phase": 1,
        "inverted": False,
        "answered_at": 90.0,
        "availability": [1],
    }


def link(a: str, b: str, there: float, back: float) -> dict[str, Any]:
    return {"a": a, "b": b, "alternate": False, "margin_ab_db": there, "margin_ba_db": back, "grade": 3}


READS: dict[int, list[tuple[float, list[tuple[int, int]]]]] = {
    3: [(START - 60, [(0, 5)]), (START, [(0, 5)])],
    23: [(START, [(1, 8), (1, 4), (17, 4)])],
    64: [(START, [(2052, 40)])],
}
"""Reads of tables: our time, and the parts (offset, count) that came."""


class Said:
    """A source of a street of ``count`` devices in a chain of rings: device n behind device n // 4, the fourth with a hostile name."""

    def __init__(self, count: int = 8, *, drawn: bool = True) -> None:
        self.count = count
        self.drawn = drawn
        self.wall = START
        self.states = dict.fromkeys(range(1, count + 1), "up")
        self.happened: list[dict[str, Any]] = []
        self.dead = False
        self.other: Any = None
        self.past: Any = NOTHING
        """What it kept of the time before; ``NOTHING``: it is a concentrator that keeps none."""
        self.notices: list[dict[str, Any]] = []
        self.asked: list[str] = []

    def way(self, index: int) -> list[int]:
        return [*(self.way(index // 4) if index >= 4 else []), index]

    def name(self, index: int) -> str:
        return HOSTILE if index == 4 else f"house {index}"

    def happen(self, kind: str, **content: Any) -> None:
        self.happened.append({"number": len(self.happened) + 1, "wall": self.wall, "kind": kind, **content})

    def ask(self, do: str, **what: Any) -> Any:
        self.asked.append(do)
        if self.dead:
            raise NoAnswer("no concentrator answers at street.sock", hint="is it under way?")
        if self.other is not None:
            return self.other
        if do == "status":
            return self.status()
        if do == "events":
            return [each for each in self.happened if each["number"] > what["after"]]
        if do == "shapes":
            return self.shapes()
        if do == "device":
            return self.device(what["unique_node_id"])
        if do == "table":
            return self.table(what["table"], what.get("read"))
        if do == "history" and self.past is not NOTHING:
            return self.past
        raise ConfigError(f"there is nothing to do of the name {do!r}")

    def note(self) -> str:
        return f"said <b>by</b> a test of {self.count}"

    def status(self) -> dict[str, Any]:
        indexes = range(1, self.count + 1)
        nodes = [
            node(each, self.states[each], self.way(each), [1, each] if each > 1 else [], self.name(each))
            for each in indexes
        ]
        links = [
            link(node_id(each // 4) if each >= 4 else ROOT, node_id(each), 20.0 - each % 9, 14.0) for each in indexes
        ]
        links += [link(node_id(1), node_id(each), 10.0, 7.0) for each in indexes if 1 < each < 4]
        return {
            "name": HOSTILE,
            "now": 100.0 + self.wall - START,
            "wall": self.wall,
            "paused": False,
            "airtime": {"total": {"airtime_s": 25.0, "exchanges": 7}},
            "exchanges": {"in_flight": 0, "waiting": {"billing": 2}},
            "visits": [],
            "jobs": [],
            "notices": self.notices,
            "journal": {"reading": 3, "profile_interval": 4, "event": 5},
            "topology": {"nodes": nodes, "links": links, "strangers": {"0a0b0c0d0e0f": "no key"}},
        }

    def shapes(self) -> dict[str, Any]:
        kinds = ("1ph", "3ph", "load", "inverter", "gateway")
        indexes = range(1, self.count + 1)
        places = {node_id(each): [60.0 * (each % 20), 50.0 * (each // 20)] for each in indexes} if self.drawn else {}
        if self.drawn:
            places[ROOT] = [-60.0, 0.0]
        return {
            "kinds": {node_id(each): kinds[each % 5] for each in indexes},
            "names": {node_id(each): self.name(each) for each in indexes},
            "places": places,
            "cables": [[-60.0, 0.0, 600.0, 0.0]] if self.drawn else [],
        }

    def device(self, name: str) -> dict[str, Any]:
        nodes = {each["unique_node_id"]: each for each in self.status()["topology"]["nodes"]}
        if name not in nodes:
            raise ConfigError(f"there is no device {name}")
        return {
            "now": 100.0,
            "wall": self.wall,
            "node": nodes[name],
            "status": {"drift_s": 1.5},
            "facts": {"serial": HOSTILE},
            "readings": [
                {"name": "fwd_active_energy", "time": int(START), "value": 1234567, "unit": "Wh", "wall": START},
                {"name": "firmware_version", "time": int(START), "value": HOSTILE, "unit": "", "wall": START},
            ],
            "profiles": [
                {
                    "data_set": 1,
                    "interval_s": 900,
                    "channels": [
                        {
                            "number": 0, "source": 1, "name": "Fwd active Wh", "key": "fwd_active_energy", "unit": "Wh",
                            "scale": 1, "cumulative": True,
                        }
                    ],
                    "intervals": [[int(START) + 900 * turn, 0, [0], [1000 + 40 * turn]] for turn in range(12)],
                }
            ],
            "tables": [
                {"table": each, "reads": len(reads), "time": int(START), "wall": reads[-1][0]}
                for each, reads in READS.items()
            ],
            "events": [{"log": "BT74", "sequence": 7, "time": int(START), "text": f"Clock set by {HOSTILE}"}],
            "links": [{"to": ROOT, "alternate": False, "heard_db": 14.0, "heard_by_db": None}],
            "keys": {
                "suite": "AES-128", "ready": True, "pending": False, "epoch": 1, "unicast_generation": 2,
                "broadcast_generation": 1, "uses": 44, "renewal_due": "",
            },
            "jobs": [
                {
                    "number": 1, "kind": "read", "label": HOSTILE, "state": "done", "created": START, "here": "done",
                    "attempts": 1, "wall": START,
                }
            ],
        }  # fmt: skip

    def table(self, table: int, read: int | None) -> dict[str, Any]:
        if table not in READS or not (read is None or 1 <= read <= len(READS[table])):
            raise ConfigError(f"no bytes of {table} are kept")
        dimensions, tables = sample_tables()
        content = {**{each.table: each.content for each in tables}, **dimensions}[table]
        wall, parts = READS[table][-1 if read is None else read - 1]
        return {
            "table": table,
            "read": len(READS[table]) if read is None else read,
            "time": int(wall),
            "wall": wall,
            "parts": [[offset, content[offset : offset + count].hex()] for offset, count in parts],
            "dimensions": {str(number): raw.hex() for number, raw in dimensions.items()},
            "reads": [
                {"read": 1 + place, "time": int(at), "wall": at, "bytes": sum(count for _, count in each)}
                for place, (at, each) in enumerate(READS[table])
            ][::-1],
        }
