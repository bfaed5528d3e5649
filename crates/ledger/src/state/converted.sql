-- All rows are converted.
DROP TABLE published_before;
DROP TABLE outcomes_before;
