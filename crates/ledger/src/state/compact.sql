-- The record in a quarter of its former space: numbers for ids that repeat, codes for names, bytes for hexadecimal digits. Rows of
-- earlier formats wait in the tables `…_before` and are converted in batches (conversion.rs).
DROP TRIGGER outcomes_stay;
DROP TRIGGER outcomes_are_kept;
DROP TRIGGER outcomes_count;
DROP TRIGGER published_counts;
DROP TRIGGER published_counts_open;
DROP INDEX outcomes_by_asset;
DROP INDEX outcomes_by_run;
DROP INDEX outcomes_by_original;
DROP INDEX outcomes_by_watermarked;
DROP INDEX outcomes_by_time;
DROP INDEX outcomes_by_job;
DROP INDEX published_open;
DROP INDEX published_by_time;
DROP INDEX published_lost;
DROP INDEX published_open_by_time;
DROP INDEX published_unended;
-- They are counted again as rows are converted.
DROP TABLE run_jobs;
DROP TABLE lane_jobs;
DROP TABLE run_outcomes;
DROP TABLE outcome_totals;
DROP TABLE assets;
ALTER TABLE published RENAME TO published_before;
ALTER TABLE outcomes RENAME TO outcomes_before;
-- Rows that this release cannot read, as they were.
CREATE TABLE published_unreadable AS SELECT * FROM published_before WHERE false;
CREATE TABLE outcomes_unreadable AS SELECT * FROM outcomes_before WHERE false;

-- -2147483648 means that there is no such row yet. It is as long as a row's number, so a row keeps its length when the number comes,
-- and full pages are not split.

-- Runs that published jobs: how many, how many of them have no outcome, and where its jobs and outcomes are: among those of other
-- runs, from the first to the last.
CREATE TABLE run_jobs (
    run INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    published INTEGER NOT NULL DEFAULT 0,
    open INTEGER NOT NULL DEFAULT 0,
    first_job INTEGER,
    last_job INTEGER,
    first_outcome INTEGER,
    last_outcome INTEGER
);

-- The current state of each asset: its latest job, its latest outcome, and that outcome's code, plus 128 once a person has dropped
-- the failed job.
CREATE TABLE assets (
    asset INTEGER PRIMARY KEY,
    asset_id BLOB NOT NULL UNIQUE,
    last_job INTEGER NOT NULL DEFAULT -2147483648,
    last_outcome INTEGER NOT NULL DEFAULT -2147483648,
    outcome INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX assets_failed ON assets (asset) WHERE outcome >= 16;
CREATE INDEX assets_failed_by_class ON assets (outcome, last_outcome, asset) WHERE outcome >= 16;

-- One row a job ever published; open until it has an outcome.
CREATE TABLE published (
    -- A number is never used again: hours and archives refer to it.
    job INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id BLOB NOT NULL UNIQUE,
    run INTEGER NOT NULL,
    asset INTEGER NOT NULL,
    -- The job that was the asset's latest before.
    before INTEGER NOT NULL,
    base INTEGER NOT NULL,
    -- NULL if it is unknown.
    at_ms INTEGER,
    lane INTEGER NOT NULL,
    open INTEGER NOT NULL DEFAULT 1,
    -- Whether the queue has taken the job; one that it may not have taken is published again.
    confirmed INTEGER NOT NULL DEFAULT 1,
    -- Given up without an outcome; it belongs to the producer until its asset was decided on again.
    lost INTEGER NOT NULL DEFAULT 0,
    -- The latest outcome.
    last INTEGER NOT NULL DEFAULT -2147483648
);
CREATE INDEX published_open ON published (asset) WHERE open = 1;
CREATE INDEX published_open_by_time ON published (at_ms) WHERE open = 1;
CREATE INDEX published_lost ON published (asset) WHERE lost = 1;
-- Jobs without an outcome are few among all that were published.
CREATE INDEX published_unended ON published (job) WHERE last < 0;

-- Append-only: one row an outcome event (row.rs).
CREATE TABLE outcomes (
    sequence INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    -- The job's outcome before this one.
    previous INTEGER,
    outcome INTEGER NOT NULL,
    base INTEGER NOT NULL,
    version INTEGER,
    -- Nanoseconds.
    at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    bytes_downloaded INTEGER NOT NULL,
    bytes_uploaded INTEGER NOT NULL,
    asset_name TEXT NOT NULL,
    original BLOB,
    watermarked BLOB,
    medium BLOB,
    requests BLOB,
    -- What few outcomes have, as JSON.
    rest TEXT
);
-- A part of a hash finds its row; the whole is compared there.
CREATE INDEX outcomes_by_original ON outcomes (substr(original, 1, 6)) WHERE original IS NOT NULL;
CREATE INDEX outcomes_by_watermarked ON outcomes (substr(watermarked, 1, 6)) WHERE watermarked IS NOT NULL;

-- The first job, and the first outcome, of each hour of the clock that it was noted by. What is younger than a time comes after the
-- first of the hours from then on, also where a clock was behind; an index over all times would take a tenth of the file. What is
-- more than a day ahead of this machine's clock is noted for that hour as well: questions end a day from now, so that one wrong clock
-- does not make every later one read all since.
CREATE TABLE published_hours (hour INTEGER PRIMARY KEY, first INTEGER NOT NULL);
CREATE TABLE outcome_hours (hour INTEGER PRIMARY KEY, first INTEGER NOT NULL);

-- Jobs of a lane without an outcome.
CREATE TABLE lane_jobs (lane INTEGER PRIMARY KEY, open INTEGER NOT NULL);

-- Jobs of a run by their outcome, the latest where a job has several.
CREATE TABLE run_outcomes (
    run INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    jobs INTEGER NOT NULL,
    bytes_downloaded INTEGER NOT NULL,
    bytes_uploaded INTEGER NOT NULL,
    PRIMARY KEY (run, outcome)
) WITHOUT ROWID;

-- Every outcome ever, by its code.
CREATE TABLE outcome_totals (
    outcome INTEGER PRIMARY KEY,
    outcomes INTEGER NOT NULL,
    bytes_downloaded INTEGER NOT NULL,
    bytes_uploaded INTEGER NOT NULL
);

CREATE TRIGGER published_counts AFTER INSERT ON published BEGIN
    UPDATE run_jobs SET published = published + (NEW.at_ms IS NOT NULL), open = open + NEW.open,
        first_job = coalesce(first_job, NEW.job), last_job = NEW.job
    WHERE run = NEW.run;
    UPDATE assets SET last_job = NEW.job WHERE asset = NEW.asset;
    INSERT INTO lane_jobs VALUES (NEW.lane, NEW.open) ON CONFLICT DO UPDATE SET open = open + NEW.open;
    INSERT OR IGNORE INTO published_hours SELECT NEW.at_ms / 3600000, NEW.job WHERE NEW.at_ms IS NOT NULL;
    INSERT OR IGNORE INTO published_hours
        SELECT unixepoch() / 3600 + 24, NEW.job WHERE NEW.at_ms / 3600000 > unixepoch() / 3600 + 24;
END;
CREATE TRIGGER published_counts_open AFTER UPDATE OF open ON published WHEN NEW.open <> OLD.open BEGIN
    UPDATE run_jobs SET open = open + NEW.open - OLD.open WHERE run = NEW.run;
    UPDATE lane_jobs SET open = open + NEW.open - OLD.open WHERE lane = NEW.lane;
END;

CREATE TRIGGER outcomes_count AFTER INSERT ON outcomes BEGIN
    -- The outcome that this one replaces.
    UPDATE run_outcomes SET
        jobs = jobs - 1,
        bytes_downloaded = max(run_outcomes.bytes_downloaded - replaced.bytes_downloaded, 0),
        bytes_uploaded = max(run_outcomes.bytes_uploaded - replaced.bytes_uploaded, 0)
    FROM (SELECT run, outcome, bytes_downloaded, bytes_uploaded
          FROM outcomes CROSS JOIN published USING (job) WHERE sequence = NEW.previous) AS replaced
    WHERE run_outcomes.run = replaced.run AND run_outcomes.outcome = replaced.outcome;
    -- Sums are bounded: a sum that overflows would become a real number, which nothing reads.
    INSERT INTO run_outcomes
        SELECT run, NEW.outcome, 1, NEW.bytes_downloaded, NEW.bytes_uploaded FROM published WHERE job = NEW.job
        ON CONFLICT DO UPDATE SET jobs = jobs + 1,
            bytes_downloaded = min(bytes_downloaded, 1 << 58) + NEW.bytes_downloaded,
            bytes_uploaded = min(bytes_uploaded, 1 << 58) + NEW.bytes_uploaded;
    INSERT INTO outcome_totals VALUES (NEW.outcome, 1, NEW.bytes_downloaded, NEW.bytes_uploaded)
        ON CONFLICT DO UPDATE SET outcomes = outcomes + 1,
            bytes_downloaded = min(bytes_downloaded, 1 << 58) + NEW.bytes_downloaded,
            bytes_uploaded = min(bytes_uploaded, 1 << 58) + NEW.bytes_uploaded;
    UPDATE run_jobs SET first_outcome = coalesce(first_outcome, NEW.sequence), last_outcome = NEW.sequence
        WHERE run = (SELECT run FROM published WHERE job = NEW.job);
    INSERT OR IGNORE INTO outcome_hours VALUES (NEW.at / 3600000000000, NEW.sequence);
    INSERT OR IGNORE INTO outcome_hours
        SELECT unixepoch() / 3600 + 24, NEW.sequence WHERE NEW.at / 3600000000000 > unixepoch() / 3600 + 24;
    UPDATE published SET last = NEW.sequence WHERE job = NEW.job;
    -- The outcome of a message that nobody could read may name another asset than its job.
    UPDATE assets SET last_outcome = NEW.sequence, outcome = NEW.outcome
        WHERE asset = (SELECT asset FROM published WHERE job = NEW.job) AND NEW.rest ->> '$.asset_id' IS NULL;
END;

-- Rows of the ledger never change.
CREATE TRIGGER outcomes_stay BEFORE UPDATE ON outcomes
    BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
-- They are deleted only as they are archived.
CREATE TRIGGER outcomes_are_kept BEFORE DELETE ON outcomes WHEN NOT EXISTS (SELECT 1 FROM facts WHERE name = 'archiving')
    BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;

-- Reports are by run as well.
CREATE INDEX restorations_by_run ON restorations (run_id);

-- The files of outcomes that were moved out of this one.
CREATE TABLE archives (
    archive INTEGER PRIMARY KEY,
    file TEXT NOT NULL UNIQUE,
    outcomes INTEGER NOT NULL,
    -- How many keys the file beside it has.
    keys INTEGER NOT NULL,
    -- The latest time of an outcome in it, in nanoseconds.
    last_at INTEGER NOT NULL
);
