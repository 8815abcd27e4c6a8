-- Devices, counters, raw table bytes, readings, load profiles, events, jobs, topology, notices, quotas.
-- Times are seconds since 1970 UTC: "wall" is the concentrator's clock, "time" what the meter says.
-- Keys of devices are named ("key"), never held. Every table has a rowid, so that what is sound can be read around a damaged page.

CREATE TABLE device (
    id INTEGER PRIMARY KEY,
    unique_node_id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    "key" TEXT NOT NULL DEFAULT '',
    subnet INTEGER NOT NULL DEFAULT 0,
    node INTEGER NOT NULL DEFAULT 0,
    dimensions TEXT NOT NULL DEFAULT '{}',
    facts TEXT NOT NULL DEFAULT '{}',
    added REAL NOT NULL
);

-- What the security reserves before use. "digest" shows damage that SQLite does not see.
CREATE TABLE counter (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    value BLOB NOT NULL,
    digest BLOB NOT NULL
);

CREATE TABLE raw (
    id INTEGER PRIMARY KEY,
    device_id INTEGER NOT NULL REFERENCES device (id),
    table_number INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    time INTEGER NOT NULL,
    digest BLOB NOT NULL,
    wall REAL NOT NULL,
    content BLOB NOT NULL,
    UNIQUE (device_id, table_number, "offset", time, digest)
);

-- "value" has no declared type on purpose: SQLite then keeps integers, reals and texts as they are.
CREATE TABLE reading (
    id INTEGER PRIMARY KEY,
    device_id INTEGER NOT NULL REFERENCES device (id),
    name TEXT NOT NULL,
    time INTEGER NOT NULL,
    value NOT NULL,
    unit TEXT NOT NULL,
    wall REAL NOT NULL,
    UNIQUE (device_id, name, time, value)
);

CREATE TABLE profile_channels (
    id INTEGER PRIMARY KEY,
    device_id INTEGER NOT NULL REFERENCES device (id),
    data_set INTEGER NOT NULL,
    digest BLOB NOT NULL,
    interval_s INTEGER NOT NULL,
    channels TEXT NOT NULL,
    UNIQUE (device_id, data_set, digest)
);

-- One row for an interval with all its channels as the meter counted them; "content" is a JSON list: common, status, values.
CREATE TABLE profile_interval (
    id INTEGER PRIMARY KEY,
    device_id INTEGER NOT NULL REFERENCES device (id),
    data_set INTEGER NOT NULL,
    time INTEGER NOT NULL,
    digest BLOB NOT NULL,
    channels_id INTEGER NOT NULL,
    content TEXT NOT NULL,
    UNIQUE (device_id, data_set, time, digest)
);

CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    device_id INTEGER NOT NULL REFERENCES device (id),
    log TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    time INTEGER,
    digest BLOB NOT NULL,
    text TEXT NOT NULL,
    raw BLOB NOT NULL,
    wall REAL NOT NULL,
    UNIQUE (device_id, log, sequence, digest)
);

-- How far something has been read: profile 1 → time of the newest interval of an unbroken row, BT74 → sequence number.
CREATE TABLE mark (
    id INTEGER PRIMARY KEY,
    device_id INTEGER NOT NULL REFERENCES device (id),
    what TEXT NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (device_id, what)
);

CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL,
    parameters TEXT NOT NULL,
    label TEXT NOT NULL DEFAULT ''
);

CREATE TABLE job_result (
    id INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL REFERENCES job (id),
    device_id INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    wall REAL,
    detail TEXT NOT NULL DEFAULT '{}',
    UNIQUE (job_id, device_id)
);

CREATE TABLE topology (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL
);

-- What the concentrator itself has to tell: alarms of devices, damage, doubts.
CREATE TABLE notice (
    id INTEGER PRIMARY KEY,
    wall REAL NOT NULL,
    device_id INTEGER,
    severity TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX notice_by_wall ON notice (wall);

CREATE TABLE quota_use (
    id INTEGER PRIMARY KEY,
    class TEXT NOT NULL,
    device_id INTEGER,
    wall REAL NOT NULL
);
CREATE INDEX quota_use_by_class ON quota_use (class, wall);
