//! Jobs and outcomes for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::Ledger;
use crate::state::record::Kind;
use common::hash::ContentHash;
use common::job::{Job, Lane, RunId};
use common::outcome::{Failure, Outcome, OutcomeEvent};

/// The first 16 bytes of a hash, as hexadecimal digits.
fn digits(of: &str) -> String {
    hex::encode(&Sha256::digest(of)[..16])
}

fn uuid(of: &str) -> String {
    let digits = digits(of);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// A job as a producer publishes it: for asset `asset`, in the pass `pass` over the library.
pub(crate) fn job(asset: usize, pass: u32) -> Job {
    let digits = digits(&format!("asset {asset}")).to_uppercase();
    let id = format!("{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..]);
    let at =
        Timestamp::from_millisecond(1_767_323_000_123 + (i64::from(pass) * 1_000_000 + asset as i64) * 500)
            .unwrap();
    let run = RunId(format!("01900000-0000-7000-8000-{:012}", pass as usize * 1000 + asset / 50_000));
    let name = format!("IMG_{asset:07}.jpg");
    Job::new(run, id.parse().unwrap(), &name, Lane::Backlog, 1 + 2 * pass, None, at)
}

/// The usual outcome of a job.
pub(crate) fn watermarked(job: &Job) -> OutcomeEvent {
    let hash = |what: &str| Some(ContentHash::of(format!("{what} of {}", job.job_id).as_bytes()).unwrap());
    let at = job.created_at + jiff::SignedDuration::new(95, 678_901_234);
    OutcomeEvent {
        original: hash("original"),
        watermarked: hash("watermarked"),
        media_id: Some(uuid(&job.job_id.0)),
        request_ids: (0..3).map(|number| uuid(&format!("{number}{}", job.job_id))).collect(),
        bytes_downloaded: 4_123_456,
        bytes_uploaded: 4_100_200,
        added: Timestamp::from_second(job.created_at.as_second()).ok(),
        ..job.ended(Outcome::Watermarked { version: job.base + 1 }, at)
    }
}

/// One outcome of each kind.
pub(crate) fn one_of_each() -> Vec<Outcome> {
    let failed = common::outcome::FailureClass::ALL.map(|class| {
        Outcome::Failed(Failure { class, reason: "It broke".into(), request_id: Some("r-1".to_owned()) })
    });
    let plain = [
        Outcome::Watermarked { version: 2 },
        Outcome::AlreadyProtected,
        Outcome::Superseded { ours: Some(2), theirs: 3 },
        Outcome::Superseded { ours: None, theirs: 3 },
        Outcome::AwaitingApproval,
        Outcome::Gone,
    ];
    let all: Vec<_> = plain.into_iter().chain(failed).collect();
    assert!(all.iter().all(|outcome| Kind::of(Kind::from(outcome).code()).is_some()));
    all
}

/// A counter of SQLite's steps from now on. Only the connection that writes counts, which in memory is the only one.
pub(crate) async fn steps_of(ledger: &Ledger) -> Arc<AtomicU64> {
    let steps = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&steps);
    ledger
        .state
        .blocking(move |connection| {
            let count = move || {
                counting.fetch_add(1, Ordering::Relaxed);
                false
            };
            Ok(connection.progress_handler(1, Some(count))?)
        })
        .await
        .unwrap();
    steps
}
