//! The contents of messages, besides the job itself.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use amqp::message::MOST_RECORD_BYTES;
use common::asset::AssetId;
use common::job::{Job, JobId, MESSAGE_VERSION, MOST_MESSAGE_BYTES, MessageError, RunId, check_version};
use common::outcome::OutcomeEvent;
use common::parse_error::of_json;

/// How many bytes of an unreadable message are kept for a person to look at.
const MOST_KEPT: usize = 4096;
/// Persistent: dead-lettering preserves a message's delivery mode, also in quorum queues.
const PERSISTENT: u8 = 2;

/// The properties of every message. The headers are always new, so none of the broker's own headers is sent back to it.
pub(super) fn properties(id: &str, traceparent: Option<&str>) -> BasicProperties {
    let mut headers = FieldTable::default();
    if let Some(traceparent) = traceparent {
        headers.insert("traceparent".into(), AMQPValue::LongString(traceparent.into()));
    }
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_message_id(short(id))
        .with_headers(headers)
}

/// A short string of AMQP has at most 255 bytes. Ids are shorter; a longer one is cut, in the same way as when it is
/// read.
fn short(id: &str) -> ShortString {
    ShortString::try_new(id).unwrap_or_else(|_| ShortString::from(JobId::shortened(id).0))
}

pub(super) fn job_properties(job: &Job) -> BasicProperties {
    properties(&job.job_id.0, job.traceparent.as_deref())
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    v: u32,
    #[serde(flatten)]
    content: &'a T,
}

pub(super) fn versioned<T: Serialize>(content: &T) -> Result<Vec<u8>, MessageError> {
    Ok(serde_json::to_vec(&Envelope { v: MESSAGE_VERSION, content })?)
}

/// Encodes the outcome of a failed job that a person dropped. A release that does not know this mark takes it for a copy of
/// the outcome, and does nothing.
pub(super) fn encode_dropped(event: &OutcomeEvent) -> Result<Vec<u8>, MessageError> {
    versioned(&Reported { event, mark: DroppedMark { dropped: true } })
}

/// Whether a person dropped the failed job that an outcome message is about.
pub(super) fn is_dropped(body: &[u8]) -> bool {
    serde_json::from_slice::<DroppedMark>(body).is_ok_and(|mark| mark.dropped)
}

#[derive(Serialize)]
struct Reported<'a> {
    #[serde(flatten)]
    event: &'a OutcomeEvent,
    #[serde(flatten)]
    mark: DroppedMark,
}

#[derive(Serialize, Deserialize)]
struct DroppedMark {
    #[serde(default)]
    dropped: bool,
}

/// Parses a message about the fleet, which may come from anyone with access to the broker.
pub(super) fn small<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, MessageError> {
    bounded(body, MOST_MESSAGE_BYTES)
}

fn bounded<'a, T: Deserialize<'a>>(body: &'a [u8], most: usize) -> Result<T, MessageError> {
    if body.len() > most {
        return Err(MessageError::TooLarge(body.len()));
    }
    Ok(serde_json::from_slice(body)?)
}

fn unversioned<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, MessageError> {
    if body.len() <= MOST_RECORD_BYTES {
        check_version(body)?;
    }
    bounded(body, MOST_RECORD_BYTES)
}

/// Encodes an outcome event.
///
/// # Errors
/// It cannot be encoded as JSON, or is larger than what [`decode_event`] reads.
pub fn encode_event(event: &OutcomeEvent) -> Result<Vec<u8>, MessageError> {
    let body = versioned(event)?;
    if body.len() > MOST_RECORD_BYTES {
        return Err(MessageError::TooLarge(body.len()));
    }
    Ok(body)
}

/// Decodes an outcome event, which may come from anyone with access to the broker.
///
/// # Errors
/// It is too large, or not an outcome event in this release's format.
pub fn decode_event(body: &[u8]) -> Result<OutcomeEvent, MessageError> {
    unversioned(body)
}

/// A failed job as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// How it ended.
    pub event: OutcomeEvent,
    /// The job, unless its message was unreadable.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "small_job")]
    pub(super) job: Option<Job>,
    /// The beginning of an unreadable message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unreadable: Option<String>,
}

/// A job that is no larger than one whose message can be decoded.
fn small_job<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Job>, D::Error> {
    let Some(raw) = Option::<Box<RawValue>>::deserialize(deserializer)? else { return Ok(None) };
    if raw.get().len() > MOST_MESSAGE_BYTES {
        return Err(D::Error::custom(MessageError::TooLarge(raw.get().len())));
    }
    serde_json::from_str(raw.get()).map(Some).map_err(|error| D::Error::custom(of_json(&error)))
}

/// The ids in a message that is not a job. The rest of the message takes no memory, however large it is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Loose<'a> {
    #[serde(borrow, rename = "job_id")]
    job: Option<&'a RawValue>,
    #[serde(borrow, rename = "run_id")]
    run: Option<&'a RawValue>,
    #[serde(borrow, rename = "asset_id")]
    asset: Option<&'a RawValue>,
}

impl Failed {
    /// Encodes this as a message.
    ///
    /// # Errors
    /// It cannot be encoded as JSON.
    pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
        versioned(self)
    }

    /// Decodes a failed job.
    ///
    /// # Errors
    /// It is too large, or not a failed job in this release's format.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        unversioned(body)
    }

    /// The record of a message that this release cannot read as a job, with whatever ids the message contains.
    pub fn unreadable(body: &[u8], message_id: Option<&str>, error: &MessageError) -> Self {
        let loose: Loose<'_> = serde_json::from_slice(body).unwrap_or_default();
        let text = |value: Option<&RawValue>| serde_json::from_str::<String>(value?.get()).ok();
        let anonymous = || hex::encode(&Sha256::digest(body)[..16]);
        // Ids are shown to people; text that is not an id may be a link with its signature.
        let is_plain =
            |id: &String| id.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
        let named = message_id.map(str::to_owned).or_else(|| text(loose.job)).filter(is_plain);
        let job_id = named.unwrap_or_else(anonymous);
        let asset_id = text(loose.asset).and_then(|id| id.parse().ok()).unwrap_or_else(AssetId::unknown);
        let reason = format!("{error}; the message is kept with the failed job");
        let job_id = JobId::shortened(&job_id);
        let run_id = RunId::shortened(&text(loose.run).filter(is_plain).unwrap_or_default());
        let event = OutcomeEvent::of_unreadable(job_id, run_id, asset_id, reason);
        let kept = String::from_utf8_lossy(&body[..body.len().min(MOST_KEPT)]).into_owned();
        Self { event, job: None, unreadable: Some(kept) }
    }
}

#[cfg(test)]
mod tests {
    use common::job::Lane;
    use common::outcome::Placed;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn an_unreadable_message_is_kept_with_whatever_it_holds() {
        let body = br#"{"v":99,"job_id":"j","asset_id":"A-1","run_id":"r"}"#;
        let kept = Failed::unreadable(body, None, &MessageError::Newer(99));
        assert_eq!((kept.event.job_id.0.as_str(), kept.event.asset_id.as_str()), ("j", "A-1"));
        let link = br#"{"job_id":"https://x.example/?sig=s3cr3t","run_id":"https://x.example/?sig=s3cr3t"}"#;
        let shown = format!("{:?}", Failed::unreadable(link, Some("a b"), &MessageError::Newer(9)).event);
        assert!(!shown.contains("x.example") && !shown.contains("a b"), "{shown}");
        let nothing = Failed::unreadable(&[0xFF; 9000], Some("m"), &MessageError::TooLarge(9000));
        assert_eq!((nothing.event.job_id.0.as_str(), nothing.event.asset_id.as_str()), ("m", "unknown"));
        assert!(nothing.encode().unwrap().len() < 64 * 1024);
        let others = Failed::unreadable(
            br#"{"asset_id":7,"job_id":"j","x":[{"":0}]}"#,
            None,
            &MessageError::TooLarge(9),
        );
        assert_eq!((others.event.job_id.0.as_str(), others.event.asset_id.as_str()), ("j", "unknown"));
        // AMQP has no longer names.
        let long = format!(r#"{{"job_id":"{0}","run_id":"{0}\n"}}"#, "😀".repeat(64));
        let long = Failed::unreadable(long.as_bytes(), None, &MessageError::TooLarge(9));
        properties(&long.event.job_id.0, None);
        assert_eq!(Failed::decode(&long.encode().unwrap()).unwrap(), long);
        let again = Failed::decode(&nothing.encode().unwrap()).unwrap();
        assert_eq!(again.event, nothing.event);
    }

    #[test]
    fn an_outcome_that_could_not_be_read_is_not_written() {
        let run = RunId("r".to_owned());
        let job = Job::new(run, "A-1".parse().unwrap(), "", Lane::Fresh, 1, None, Timestamp::now());
        let mut event = job.ended(common::outcome::Outcome::Gone, job.created_at);
        assert_eq!(decode_event(&encode_event(&event).unwrap()).unwrap(), event);
        event.asset_name = "a".repeat(MOST_RECORD_BYTES);
        assert!(matches!(encode_event(&event), Err(MessageError::TooLarge(_))));
        // A name of an earlier release is cut.
        event.asset_name.clear();
        event.placed = Some(Placed::Additional { file_name: "a".repeat(MOST_RECORD_BYTES).into() });
        assert!(encode_event(&event).unwrap().len() < MOST_MESSAGE_BYTES);
    }

    #[test]
    fn a_failed_record_holds_no_larger_job_than_a_message() {
        let unreadable = Failed::unreadable(br#"{"job_id":"j"}"#, None, &MessageError::TooLarge(9));
        let mut record: serde_json::Value = serde_json::from_slice(&unreadable.encode().unwrap()).unwrap();
        let run = RunId("r".to_owned());
        let job = Job::new(run, "A-1".parse().unwrap(), "", Lane::Fresh, 1, None, Timestamp::now());
        for (zeros, is_read) in [(10, true), (MOST_MESSAGE_BYTES / 2, false)] {
            record["job"] = serde_json::to_value(&job).unwrap();
            // A list in memory takes sixteen times the bytes of its message.
            record["job"]["pad"] = serde_json::json!(vec![0; zeros]);
            assert_eq!(Failed::decode(&serde_json::to_vec(&record).unwrap()).is_ok(), is_read);
        }
    }

    #[test]
    fn what_is_larger_than_any_honest_message_is_not_read() {
        let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2)).into_bytes();
        assert!(small::<String>(&text(MOST_MESSAGE_BYTES)).is_ok());
        assert!(matches!(small::<String>(&text(MOST_MESSAGE_BYTES + 1)), Err(MessageError::TooLarge(_))));
        assert!(matches!(decode_event(&text(MOST_RECORD_BYTES)), Err(MessageError::Malformed(_))));
        assert!(matches!(decode_event(&text(MOST_RECORD_BYTES + 1)), Err(MessageError::TooLarge(_))));
        assert!(matches!(Failed::decode(&text(MOST_RECORD_BYTES + 1)), Err(MessageError::TooLarge(_))));
    }
}
