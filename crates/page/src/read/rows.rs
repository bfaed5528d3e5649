//! Failed jobs, as the pages, the JSON and the CSV show them.

use common::outcome::{FailureClass, Outcome, OutcomeEvent};
use jiff::Timestamp;
use serde::Serialize;

use crate::state::PageState;
use crate::words::of_class;

/// A failed job.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FailedRow {
    pub(super) job_id: String,
    pub(super) asset_id: String,
    pub(super) asset_name: String,
    /// The version that the job was to protect.
    pub(super) version: u32,
    pub(super) class: &'static str,
    /// The class in other words.
    pub(super) problem: &'static str,
    pub(super) reason: String,
    pub(super) what_to_do: &'static str,
    pub(super) failed_at: Timestamp,
    pub(super) attempts: u32,
    pub(super) run_id: String,
    pub(super) request_id: Option<String>,
    /// The asset's page in Bynder.
    pub(super) bynder_url: Option<String>,
}

impl FailedRow {
    pub(super) fn of(state: &PageState, event: OutcomeEvent) -> Self {
        let bynder_url = state.portal().asset(&event.asset_id);
        let (class, reason, request_id) = match event.outcome {
            Outcome::Failed(failure) => (failure.class, String::from(failure.reason), failure.request_id),
            // A page of failed jobs has no other.
            _ => (FailureClass::Malformed, String::new(), None),
        };
        let words = of_class(class);
        Self {
            job_id: event.job_id.0,
            asset_id: event.asset_id.into(),
            asset_name: event.asset_name,
            version: event.base,
            class: class.name(),
            problem: words.title,
            reason,
            what_to_do: words.remedy,
            failed_at: event.at,
            attempts: event.attempts,
            run_id: event.run_id.0,
            request_id,
            bynder_url,
        }
    }
}
