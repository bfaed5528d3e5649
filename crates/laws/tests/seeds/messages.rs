use std::io::Cursor;

use common::hash::{ContentHash, FileFacts};
use common::job::{FailedAttempt, Job, Lane, MessageError, RunId, Step};
use common::marker::Record;
use common::outcome::{Failure, FailureClass, Outcome, Placed};
use imatag::MediumId;
use jiff::Timestamp;
use media::{Checks, read};
use rabbitmq::{Failed, encode_event};
use sample_files::{Format, file};

fn job() -> Job {
    let id = "1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF".parse().unwrap();
    let at = Timestamp::UNIX_EPOCH;
    Job::new(RunId("run-1".to_owned()), id, "Alpine lake", Lane::Backlog, 3, Some("x".to_owned()), at)
}

fn facts() -> FileFacts {
    let picture = file(Format::Jpeg, 2, 40, 30);
    read(Cursor::new(&picture), &Checks::default()).into_facts(ContentHash::of(&picture[..]).unwrap(), 9)
}

/// A new job, one with effects, and one of a later format.
pub(super) fn jobs() -> Vec<Vec<u8>> {
    let mut done = job();
    let facts = facts();
    done.effects.media_id = Some(MediumId::try_from("m1".to_owned()).unwrap());
    done.effects.note_request(Some("r1".to_owned()));
    done.effects.marked =
        Some(Record { original: facts.sha256, watermarked: facts.sha256, version: 4, bytes: 9 });
    done.effects.original = Some(facts.clone());
    done.effects.watermarked = Some(facts);
    done.effects.saved = Some(done.wait_mark());
    done.remember(FailedAttempt {
        at: done.created_at,
        step: Step::Save,
        class: FailureClass::TimedOut,
        reason: "late".to_owned(),
        request_id: None,
    });
    done.unknown.insert("invented".to_owned(), serde_json::json!([1, 2.5, {"a": null}]));
    let later = br#"{"v":99,"job_id":"j","asset_id":"A-1","run_id":"r"}"#.to_vec();
    vec![job().encode().unwrap(), done.encode().unwrap(), later]
}

/// An event for each outcome, and failed jobs.
pub(super) fn events() -> Vec<Vec<u8>> {
    let failure = Failure { class: FailureClass::Refused, reason: "no".into(), request_id: None };
    let outcomes = [
        Outcome::Watermarked { version: 4 },
        Outcome::AlreadyProtected,
        Outcome::Superseded { ours: Some(4), theirs: 5 },
        Outcome::AwaitingApproval,
        Outcome::Gone,
        Outcome::Failed(failure),
    ];
    let mut job = job();
    job.effects.placed = Some(Placed::Copy { asset_id: "B".parse().unwrap(), version: 1 });
    let ended = outcomes.map(|outcome| encode_event(&job.ended(outcome, job.created_at)).unwrap());
    let unreadable = Failed::unreadable(b"{}", Some("m"), &MessageError::Newer(9));
    ended.into_iter().chain([unreadable.encode().unwrap()]).collect()
}
