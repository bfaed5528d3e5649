//! The past of a library: jobs and their outcomes, recorded by the code that the producer uses.

use std::time::Duration;

use common::hash::ContentHash;
use common::job::{Job, Lane, RunId};
use common::outcome::{Outcome, OutcomeEvent};
use jiff::{SignedDuration, Timestamp};
use ledger::Ledger;
use ledger::state::{DatabaseError, State};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// Jobs that are published before their outcomes come.
const AHEAD: usize = 5_000;
/// The days that a pass over the library takes.
pub(crate) const PASS: i64 = 65;

/// The jobs and outcomes of a library.
#[derive(Debug, Clone, Copy)]
pub(crate) struct History {
    pub(crate) assets: u64,
    pub(crate) begin: Timestamp,
}

impl History {
    /// A history of this many passes, the last of which ended two days ago.
    pub(crate) fn new(assets: u64, passes: i64) -> Self {
        let begin = Timestamp::now() - SignedDuration::from_hours(24 * (passes * PASS + 2));
        Self { assets, begin }
    }

    /// Records the jobs of a pass and their outcomes; returns how long that took.
    pub(crate) async fn record(self, state: &State, pass: u32) -> anyhow::Result<Duration> {
        let ledger = Ledger::new(state.clone());
        let started = Instant::now();
        for from in (0..self.assets).step_by(AHEAD) {
            let to = self.assets.min(from + AHEAD as u64);
            self.publish(state, pass, from, to).await?;
            anyhow::ensure!(ledger.fold(self.outcomes(pass, from, to)).await?.is_empty(), "an unknown job");
        }
        Ok(started.elapsed())
    }

    /// Job `number` of a pass. The first pass goes over the library in order, later ones in another.
    pub(crate) fn job(self, pass: u32, number: u64) -> Job {
        let asset = if pass == 0 { number } else { (number * 1_000_003 + u64::from(pass)) % self.assets };
        let run = RunId(format!("20260101T000000Z-{:08x}", (u64::from(pass) << 20) + number / 100_000));
        let seconds = PASS * 86_400 * i64::from(pass) + PASS * 86_400 * number as i64 / self.assets as i64;
        let at = self.begin + SignedDuration::from_secs(seconds);
        let id = sandbox::archived_id(asset).parse().unwrap_or_else(|_| common::asset::AssetId::unknown());
        Job::new(run, id, &format!("IMG_{asset:08}.jpg"), Lane::Backlog, 1 + 2 * pass, None, at)
    }

    pub(crate) fn outcome(job: &Job) -> OutcomeEvent {
        let digest = |of: &str| Sha256::digest(format!("{of} {}", job.job_id));
        let hash = |of: &str| Some(ContentHash::from_bytes(digest(of).into()));
        let uuid = |of: &str| {
            let digits = hex::encode(&digest(of)[..16]);
            [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
        };
        let at = job.created_at + SignedDuration::new(95, 123_456_789);
        OutcomeEvent {
            original: hash("original"),
            watermarked: hash("watermarked"),
            media_id: Some(uuid("medium")),
            request_ids: ["submit", "poll", "fetch"].map(uuid).into(),
            bytes_downloaded: 4_123_456,
            bytes_uploaded: 4_100_200,
            added: Timestamp::from_second(job.created_at.as_second()).ok(),
            ..job.ended(Outcome::Watermarked { version: job.base + 1 }, at)
        }
    }

    pub(crate) async fn publish(
        self,
        state: &State,
        pass: u32,
        from: u64,
        to: u64,
    ) -> Result<(), DatabaseError> {
        let publish = move |transaction: &rusqlite::Transaction<'_>| {
            (from..to)
                .try_for_each(|number| ledger::note_published(transaction, &self.job(pass, number)).map(drop))
        };
        state.write(publish).await
    }

    pub(crate) fn outcomes(self, pass: u32, from: u64, to: u64) -> Vec<OutcomeEvent> {
        (from..to).map(|number| Self::outcome(&self.job(pass, number))).collect()
    }
}
