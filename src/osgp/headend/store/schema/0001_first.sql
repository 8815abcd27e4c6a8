-- Devices, visits, raw table bytes, readings, load profiles, events.
-- Times are seconds since 1970 UTC: "wall" is the collector's clock, "time" what the meter says.
-- Keys of devices are nowhere in here.

CREATE TABLE device (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    door TEXT NOT NULL,
    serial TEXT,
    model TEXT,
    firmware TEXT,
    dimensions TEXT NOT NULL DEFAULT '{}',
    configuration TEXT NOT NULL DEFAULT '',
    configuration_version INTEGER NOT NULL DEFAULT 0,
    added REAL NOT NULL
);

CREATE TABLE visit (
    id INTEGER PRIMARY KEY,
    device_id INTEGER NOT NULL REFERENCES device (id),
    start REAL NOT NULL,
    "end" REAL,
    outcome TEXT NOT NULL,
    error TEXT NOT NULL DEFAULT '',
    hint TEXT NOT NULL DEFAULT '',
    raws INTEGER NOT NULL DEFAULT 0,
    readings INTEGER NOT NULL DEFAULT 0,
    intervals INTEGER NOT NULL DEFAULT 0,
    events INTEGER NOT NULL DEFAULT 0,
    flagged INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX visit_by_device ON visit (device_id, start);

CREATE TABLE raw (
    id INTEGER PRIMARY KEY,
    device_id INTEGER NOT NULL REFERENCES device (id),
    table_number INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    time INTEGER NOT NULL,
    digest BLOB NOT NULL,
    wall REAL NOT NULL,
    door TEXT NOT NULL,
    whole INTEGER NOT NULL,
    content BLOB NOT NULL,
    UNIQUE (device_id, table_number, "offset", time, digest)
);

-- "value" has no declared type on purpose: SQLite then keeps integers, reals and texts as they are.
CREATE TABLE reading (
    device_id INTEGER NOT NULL REFERENCES device (id),
    name TEXT NOT NULL,
    time INTEGER NOT NULL,
    value NOT NULL,
    unit TEXT NOT NULL,
    wall REAL NOT NULL,
    flags INTEGER NOT NULL,
    PRIMARY KEY (device_id, name, time, value)
) WITHOUT ROWID;

CREATE TABLE profile_channel (
    device_id INTEGER NOT NULL REFERENCES device (id),
    data_set INTEGER NOT NULL,
    since INTEGER NOT NULL,
    number INTEGER NOT NULL,
    interval_s INTEGER NOT NULL,
    source INTEGER NOT NULL,
    extended INTEGER,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    unit TEXT NOT NULL,
    scale REAL NOT NULL,
    cumulative INTEGER NOT NULL,
    PRIMARY KEY (device_id, data_set, since, number)
) WITHOUT ROWID;

-- One row for an interval with all its channels. "status" holds four bits for each channel, channel 0 lowest;
-- "pending" marks a row with a placeholder in it, which a later delivery completes.
CREATE TABLE profile_interval (
    device_id INTEGER NOT NULL REFERENCES device (id),
    data_set INTEGER NOT NULL,
    time INTEGER NOT NULL,
    common INTEGER NOT NULL,
    status INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    v0 INTEGER, v1 INTEGER, v2 INTEGER, v3 INTEGER, v4 INTEGER, v5 INTEGER, v6 INTEGER, v7 INTEGER,
    v8 INTEGER, v9 INTEGER, v10 INTEGER, v11 INTEGER, v12 INTEGER, v13 INTEGER, v14 INTEGER, v15 INTEGER,
    PRIMARY KEY (device_id, data_set, time)
) WITHOUT ROWID;

CREATE TABLE event (
    device_id INTEGER NOT NULL REFERENCES device (id),
    log TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    time INTEGER NOT NULL,
    digest BLOB NOT NULL,
    code INTEGER,
    argument INTEGER,
    text TEXT NOT NULL,
    fields TEXT NOT NULL,
    raw BLOB NOT NULL,
    wall REAL NOT NULL,
    PRIMARY KEY (device_id, log, sequence, time, digest)
) WITHOUT ROWID;
CREATE INDEX event_by_time ON event (device_id, time);
