-- What is asked while a run goes on is counted as rows are written, in their own transaction: no count reads the history.

-- Jobs of a run: published, and without an outcome.
CREATE TABLE run_jobs (
    run_id TEXT PRIMARY KEY,
    published INTEGER NOT NULL,
    open INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO run_jobs SELECT run_id, count(*), sum(open) FROM published GROUP BY run_id;

-- Jobs of a lane without an outcome.
CREATE TABLE lane_jobs (lane TEXT PRIMARY KEY, open INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO lane_jobs SELECT lane, sum(open) FROM published GROUP BY lane;

CREATE TRIGGER published_counts AFTER INSERT ON published BEGIN
    INSERT INTO run_jobs VALUES (NEW.run_id, 1, NEW.open)
        ON CONFLICT DO UPDATE SET published = published + 1, open = open + NEW.open;
    INSERT INTO lane_jobs VALUES (NEW.lane, NEW.open) ON CONFLICT DO UPDATE SET open = open + NEW.open;
END;
CREATE TRIGGER published_counts_open AFTER UPDATE OF open ON published WHEN NEW.open <> OLD.open BEGIN
    UPDATE run_jobs SET open = open + NEW.open - OLD.open WHERE run_id = NEW.run_id;
    UPDATE lane_jobs SET open = open + NEW.open - OLD.open WHERE lane = NEW.lane;
END;

-- Jobs of a run by their outcome, the latest where a job has several.
CREATE TABLE run_outcomes (
    run_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    -- Of a failure; empty for everything else.
    class TEXT NOT NULL,
    jobs INTEGER NOT NULL,
    bytes_downloaded INTEGER NOT NULL,
    bytes_uploaded INTEGER NOT NULL,
    PRIMARY KEY (run_id, outcome, class)
) WITHOUT ROWID;
INSERT INTO run_outcomes
    SELECT run_id, outcome, coalesce(json_extract(event, '$.class'), ''), count(*),
           sum(bytes_downloaded), sum(bytes_uploaded)
    FROM outcomes WHERE sequence IN (SELECT max(sequence) FROM outcomes GROUP BY job_id) GROUP BY 1, 2, 3;

-- Every outcome ever, by its name.
CREATE TABLE outcome_totals (
    outcome TEXT PRIMARY KEY,
    outcomes INTEGER NOT NULL,
    bytes_downloaded INTEGER NOT NULL,
    bytes_uploaded INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO outcome_totals
    SELECT outcome, count(*), sum(bytes_downloaded), sum(bytes_uploaded) FROM outcomes GROUP BY outcome;

-- How each asset's last job ended.
CREATE TABLE assets (
    asset_id TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    class TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO assets
    SELECT asset_id, sequence, outcome, coalesce(json_extract(event, '$.class'), '')
    FROM outcomes WHERE sequence IN (SELECT max(sequence) FROM outcomes GROUP BY asset_id);
CREATE INDEX assets_failed ON assets (asset_id) WHERE outcome = 'failed';
-- Nothing looks for failures among all outcomes any more.
DROP INDEX outcomes_failed;

CREATE TRIGGER outcomes_count AFTER INSERT ON outcomes BEGIN
    -- The outcome that this one replaces.
    UPDATE run_outcomes SET
        jobs = jobs - 1,
        bytes_downloaded = run_outcomes.bytes_downloaded - previous.bytes_downloaded,
        bytes_uploaded = run_outcomes.bytes_uploaded - previous.bytes_uploaded
    FROM (SELECT run_id, outcome, coalesce(json_extract(event, '$.class'), '') AS class, bytes_downloaded, bytes_uploaded
          FROM outcomes WHERE job_id = NEW.job_id AND sequence < NEW.sequence ORDER BY sequence DESC LIMIT 1) AS previous
    WHERE run_outcomes.run_id = previous.run_id AND run_outcomes.outcome = previous.outcome
        AND run_outcomes.class = previous.class;
    INSERT INTO run_outcomes VALUES (
            NEW.run_id, NEW.outcome, coalesce(json_extract(NEW.event, '$.class'), ''), 1,
            NEW.bytes_downloaded, NEW.bytes_uploaded)
        ON CONFLICT DO UPDATE SET jobs = jobs + 1,
            bytes_downloaded = bytes_downloaded + NEW.bytes_downloaded,
            bytes_uploaded = bytes_uploaded + NEW.bytes_uploaded;
    INSERT INTO outcome_totals VALUES (NEW.outcome, 1, NEW.bytes_downloaded, NEW.bytes_uploaded)
        ON CONFLICT DO UPDATE SET outcomes = outcomes + 1,
            bytes_downloaded = bytes_downloaded + NEW.bytes_downloaded,
            bytes_uploaded = bytes_uploaded + NEW.bytes_uploaded;
    INSERT OR REPLACE INTO assets VALUES (
        NEW.asset_id, NEW.sequence, NEW.outcome, coalesce(json_extract(NEW.event, '$.class'), ''));
END;

-- Jobs without an outcome are few among all that were published.
ALTER TABLE published ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
UPDATE published SET ended = 1 WHERE job_id IN (SELECT job_id FROM outcomes);
CREATE INDEX published_unended ON published (at_ms, job_id) WHERE ended = 0;
