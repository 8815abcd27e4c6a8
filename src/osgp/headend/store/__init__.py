"""The store: raw table bytes, readings, load profiles and events of many devices, in one SQLite file.

Start at ``Store.open``. ``models`` describes the tables, ``schema/NNNN_*.sql`` makes them and brings older files up to date,
``ingest`` is the fast way in for columns, ``queries`` the way out, ``export`` writes CSV and Parquet. Project choice throughout.

Two promises shape it. *Nothing stored is lost*: a commit is on the disk when it returns (WAL with ``synchronous=FULL``), and
the bytes of a step and what was decoded from them are one transaction. *Nothing twice*: every row has a key made of what it
is (device, table, meter time, content), so that a repeated delivery changes nothing.
"""

from __future__ import annotations

from osgp.headend.store.database import Store
from osgp.headend.store.ingest import Kept, RawPart, Step, StepReading
from osgp.headend.store.queries import (
    DeviceRecord,
    DeviceSummary,
    RawRecord,
    StoredEvent,
    StoredReading,
    VisitRecord,
)

__all__ = [
    "DeviceRecord",
    "DeviceSummary",
    "Kept",
    "RawPart",
    "RawRecord",
    "Step",
    "StepReading",
    "Store",
    "StoredEvent",
    "StoredReading",
    "VisitRecord",
]
