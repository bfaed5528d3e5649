-- How many assets have each latest outcome; -1 for those without one.
CREATE TABLE asset_counts (outcome INTEGER PRIMARY KEY, assets INTEGER NOT NULL);
-- One by one: to group them would sort a number of each asset.
INSERT INTO asset_counts SELECT iif(last_outcome < 0, -1, outcome), 1 FROM assets WHERE true
    ON CONFLICT DO UPDATE SET assets = assets + 1;
CREATE TRIGGER assets_count AFTER INSERT ON assets BEGIN
    INSERT INTO asset_counts VALUES (iif(NEW.last_outcome < 0, -1, NEW.outcome), 1)
        ON CONFLICT DO UPDATE SET assets = assets + 1;
END;
CREATE TRIGGER assets_count_again AFTER UPDATE OF last_outcome, outcome ON assets
WHEN iif(NEW.last_outcome < 0, -1, NEW.outcome) <> iif(OLD.last_outcome < 0, -1, OLD.outcome) BEGIN
    UPDATE asset_counts SET assets = assets - 1 WHERE outcome = iif(OLD.last_outcome < 0, -1, OLD.outcome);
    INSERT INTO asset_counts VALUES (iif(NEW.last_outcome < 0, -1, NEW.outcome), 1)
        ON CONFLICT DO UPDATE SET assets = assets + 1;
END;
