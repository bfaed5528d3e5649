-- What people did by the operator's page: one row an act, written before it begins and completed when it ends.
CREATE TABLE acts (
    act INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    -- The name of the token.
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- To which jobs, or why.
    what TEXT NOT NULL,
    -- If it concerns one asset.
    asset_id TEXT,
    matching INTEGER NOT NULL,
    ended_ms INTEGER,
    changed INTEGER,
    trouble TEXT
);
CREATE INDEX acts_by_asset ON acts (asset_id, act) WHERE asset_id IS NOT NULL;
CREATE TRIGGER acts_stay BEFORE UPDATE OF act, at_ms, name, kind, what, asset_id, matching ON acts
    BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER acts_end_once BEFORE UPDATE ON acts WHEN old.ended_ms IS NOT NULL
    BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
-- The oldest of very many make room for new ones.
CREATE TRIGGER acts_are_kept BEFORE DELETE ON acts WHEN old.act > (SELECT max(act) FROM acts) - 100000
    BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
