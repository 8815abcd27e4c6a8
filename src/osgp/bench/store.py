"""Group ``store``: a month of load profile (30 days, 15 minutes, 8 channels) from columns to committed, deduplicated rows.

The peer is the back end itself: ``sqlite3``'s ``executemany`` of ready-made tuples into the same keyed table of a second file,
with the same journal and the same ``synchronous``, committed. Ours gets the decoder's columns, makes the rows, leaves out what
is there already, checks the channels, and commits. Goals (project choice): at least 90 % of the raw insert; decoding as well,
at least 70 % of storing alone.
"""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from osgp.bench.frame import Bench, PeerMissing, Row, group
from osgp.bench.profile import CHANNELS, PER_DAY, ROWS, table_of_a_month
from osgp.tables.profile import Geometry, Profile, channel_of, decode_blocks

if TYPE_CHECKING:
    from osgp.headend.store import Store

__all__ = ["store"]

_CHANNELS = tuple(channel_of(number, number) for number in range(CHANNELS))
_DEVICES = 20_000
"""Devices made beforehand, with their channels, as after a first visit. Every call fills one that has no intervals yet, so that
all its rows are new, on both sides."""


_FLEET = 30
"""Devices per call, each a transaction of its own: about as many as fill SQLite's journal once, so that every call pays for one
checkpoint and no sample is luckier than another."""


class _Side:
    """A store in a file of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        from osgp.headend.store import Store

        path = folder / f"{name}.sqlite"
        self.store: Store = Store.open(path)
        # As the store sets it (the journal mode stays with the file).
        self.driver = sqlite3.connect(path, isolation_level=None)
        self.driver.execute("PRAGMA synchronous = FULL")
        self.driver.execute("PRAGMA foreign_keys = ON")
        self.driver.execute("BEGIN")
        self.driver.executemany(
            "INSERT INTO device (id, name, address, door, added) VALUES (?, ?, '', '', 0)",
            ((number, str(number)) for number in range(1, _DEVICES + 1)),
        )
        self.driver.executemany(
            "INSERT INTO profile_channel (device_id, data_set, since, number, interval_s, source, extended, key, name, unit,"
            " scale, cumulative) SELECT id, 1, 0, ?, 900, ?, NULL, ?, ?, ?, ?, ? FROM device",
            (
                (each.number, each.source, each.key, each.name, each.unit, each.scale, each.cumulative)
                for each in _CHANNELS
            ),
        )
        self.driver.execute("COMMIT")
        self.numbers = itertools.count(1)

    def close(self) -> None:
        self.driver.close()
        self.store.close()


class _Ours(_Side):
    def keep(self, profile: Profile) -> None:
        """Through ``Store.keep``, under the next devices."""
        for _ in range(_FLEET):
            self.keep_one(profile)

    def keep_one(self, profile: Profile) -> None:
        from osgp.headend.store import Step

        kept = self.store.keep(next(self.numbers), Step(0.0, 0, profiles=[profile]))
        assert kept.intervals == len(profile)

    def decode_and_keep(self, blocks: bytes, shape: Geometry) -> None:
        """From the bytes on, device by device."""
        for _ in range(_FLEET):
            self.keep_one(decode_blocks(blocks, shape, channels=_CHANNELS))


class _Raw(_Side):
    def __init__(self, folder: Path, name: str, profile: Profile) -> None:
        super().__init__(folder, name)
        from osgp.headend.store.ingest import profile_table

        # The device stands in the statement, so that the tuples are ready before the clock starts.
        self.rows = [(1, *row) for row in profile_table(profile).tolist()]

    def insert(self) -> None:
        """Through the driver alone."""
        for _ in range(_FLEET):
            self.insert_one()

    def insert_one(self) -> None:
        columns = "".join(f"v{number}, " for number in range(CHANNELS))
        self.driver.execute("BEGIN IMMEDIATE")
        self.driver.executemany(
            f"INSERT INTO profile_interval (device_id, data_set, time, {columns}common, status, pending)"
            f" VALUES ({next(self.numbers)}, ?, ?, ?, ?, ?{', ?' * CHANNELS})",
            self.rows,
        )
        self.driver.execute("COMMIT")


@group("store")
def store(bench: Bench) -> Iterator[Row]:
    """A month at once, a day at once (as a collector does that comes daily), and with the decoding before it."""
    try:
        import numpy  # noqa: F401  # the store needs it
        import sqlalchemy
    except ImportError as error:
        raise PeerMissing(f"the extra 'store' is not installed ({error.name})") from error
    version = f"SQLite {sqlite3.sqlite_version}, SQLAlchemy {sqlalchemy.__version__}"
    blocks, shape = table_of_a_month()
    month = decode_blocks(blocks, shape, channels=_CHANNELS)
    day = decode_blocks(blocks[: shape.block_size], shape, channels=_CHANNELS)
    assert (len(month), len(day)) == (ROWS, PER_DAY)
    for name, profile, floor in (("a month of 8 channels", month, 0.9), ("a day of 8 channels", day, None)):
        with tempfile.TemporaryDirectory(prefix="osgp-bench-") as folder:
            ours, raw = _Ours(Path(folder), "ours"), _Raw(Path(folder), "raw", profile)
            keep: Callable[[], None] = partial(ours.keep, profile)
            yield bench.compare(
                f"{name} to committed rows",
                keep,
                raw.insert,
                work=len(profile) * _FLEET,
                unit="rows/s",
                floor=floor,
                peer_name="sqlite3 executemany, same keyed table",
                peer_version=version,
            )
            ours.close()
            raw.close()
    with tempfile.TemporaryDirectory(prefix="osgp-bench-") as folder:
        both, alone = _Ours(Path(folder), "both"), _Ours(Path(folder), "alone")
        yield bench.compare(
            "a month decoded and stored, against stored alone",
            lambda: both.decode_and_keep(blocks, shape),
            lambda: alone.keep(month),
            work=ROWS * _FLEET,
            unit="rows/s",
            floor=0.7,
            peer_name="our store alone",
            peer_version=version,
        )
        both.close()
        alone.close()
