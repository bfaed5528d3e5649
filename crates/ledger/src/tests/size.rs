//! The space that an outcome takes.

use super::samples::{job, watermarked};
use crate::*;

const ASSETS: usize = 10_000;

/// Jobs are published ahead of their outcomes, as by a producer.
async fn fill(ledger: &Ledger) {
    for pass in 0..2 {
        for batch in 0..ASSETS / 1000 {
            let write = move |transaction: &Transaction<'_>| {
                for asset in batch * 1000..(batch + 1) * 1000 {
                    note_published(transaction, &job(asset, pass))?;
                }
                for asset in batch * 1000..(batch + 1) * 1000 {
                    note_outcome(transaction, &watermarked(&job(asset, pass)))?;
                }
                Ok(())
            };
            ledger.state.write(write).await.unwrap();
        }
    }
}

/// What each table and index takes, per outcome.
fn parts(connection: &Connection) -> String {
    let sql = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 9";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?))).unwrap();
    let parts = rows.map(|row| row.map(|(name, bytes)| format!("{name} {}", bytes / (2 * ASSETS as u64))));
    parts.collect::<Result<Vec<_>, _>>().unwrap().join(", ")
}

#[tokio::test]
async fn an_outcome_takes_at_most_400_bytes_with_its_job_half_an_asset_and_all_indexes() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    fill(&ledger).await;
    let path = ledger.state.path().to_owned();
    drop(ledger);
    let connection = Connection::open(&path).unwrap();
    let each = || std::fs::metadata(&path).unwrap().len() / (2 * ASSETS as u64);
    let written = each();
    let parts = parts(&connection);
    connection.execute_batch("VACUUM").unwrap();
    let vacuumed = each();
    println!("{written} bytes as written, {vacuumed} without gaps: {parts}");
    assert!(
        written <= 400 && vacuumed <= 350,
        "{written} bytes as written, {vacuumed} without gaps: {parts}"
    );
}
