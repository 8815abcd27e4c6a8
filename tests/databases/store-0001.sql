-- A store of schema 1, as the first version wrote it. Made once; never change it.
PRAGMA application_id = 1330857808;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
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
INSERT INTO "device" VALUES(1,'house 7','optical:///dev/ttyUSB0','optical','12345678','EM-1021','4.10','{"21": "0a"}','0102',1,1770000000.5);
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
INSERT INTO "event" VALUES(1,'BT74',7,1769999000,X'FFEEDDCCBBAA99887766554433221100',2,0,'primary power up','{}',X'0102',1770000001.2);
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
INSERT INTO "profile_channel" VALUES(1,1,1769999100,0,900,0,NULL,'fwd_active_energy','Fwd active energy L1L2L3','Wh',1.0,1);
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
INSERT INTO "profile_interval" VALUES(1,1,1769999100,0,0,0,123400,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "profile_interval" VALUES(1,1,1770000000,0,0,0,123401,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "profile_interval" VALUES(1,1,1770000900,0,15,1,123402,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "raw" VALUES(1,1,23,0,1770000001,X'00112233445566778899AABBCCDDEEFF',1770000001.2,'optical',1,X'01020304');
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
INSERT INTO "reading" VALUES(1,'fwd_active_energy',1770000001,123456,'Wh',1770000001.2,0);
INSERT INTO "reading" VALUES(1,'serial_number',1770000001,'12345678','',1770000001.2,0);
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
INSERT INTO "visit" VALUES(1,1,1770000001.0,1770000009.0,'ok','','',1,2,3,1,0);
CREATE INDEX visit_by_device ON visit (device_id, start);
CREATE INDEX event_by_time ON event (device_id, time);
COMMIT;
