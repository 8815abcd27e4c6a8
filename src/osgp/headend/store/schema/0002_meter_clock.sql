-- How far the meter's clock was off at a visit (meter minus collector, seconds), how many stored intervals came again with
-- other contents, which process made the visit, and a short way to rows that wait for their placeholders.

ALTER TABLE visit ADD COLUMN clock_deviation REAL;
ALTER TABLE visit ADD COLUMN conflicts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE visit ADD COLUMN collector TEXT NOT NULL DEFAULT '';
CREATE INDEX profile_pending ON profile_interval (device_id, data_set, time) WHERE pending = 1;
