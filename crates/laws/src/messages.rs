//! Laws of messages. Anyone with access to the broker may have written them.

use common::job::Job;
use rabbitmq::{Failed, decode_event, encode_event};

/// Maximum length of the failed job that is made of an undecodable message, in bytes.
const MOST_FAILED: usize = 64 << 10;

/// Maximum length of a message id in AMQP, in bytes; a job's id is used as one.
const MOST_NAME: usize = 255;

/// A job, or the failed job that is made of an undecodable message.
pub fn job(body: &[u8]) -> bool {
    match Job::decode(body) {
        Ok(job) => {
            assert!(job.job_id.0.len() <= MOST_NAME, "a name of {} bytes", job.job_id.0.len());
            let again = Job::decode(&job.encode().expect("a job that was read can be passed on"));
            assert_eq!(again.expect("a job is read as it was written"), job);
        }
        Err(error) => {
            let failed = Failed::unreadable(body, None, &error);
            assert!(
                failed.event.job_id.0.len() <= MOST_NAME,
                "a name of {} bytes",
                failed.event.job_id.0.len()
            );
            let written = failed.encode().expect("a message that is no job becomes a failed job");
            assert!(written.len() <= MOST_FAILED, "a failed job of {} bytes", written.len());
            assert_eq!(Failed::decode(&written).expect("a failed job is read as it was written"), failed);
        }
    }
    true
}

/// An outcome, or a failed job.
pub fn event(body: &[u8]) -> bool {
    let event = decode_event(body);
    if let Ok(event) = &event {
        let written = encode_event(event).expect("an outcome that was read can be written");
        assert_eq!(&decode_event(&written).expect("an outcome is read as it was written"), event);
    }
    let failed = Failed::decode(body);
    if let Ok(failed) = &failed {
        let written = failed.encode().expect("a failed job that was read can be written");
        assert_eq!(&Failed::decode(&written).expect("a failed job is read as it was written"), failed);
    }
    for error in event.err().into_iter().chain(failed.err()) {
        crate::is_line(&error.to_string());
    }
    true
}
