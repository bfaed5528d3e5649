//! The summary object that a run prints last.

use std::collections::BTreeMap;

use cli::output;
use common::failure::Failure;
use ledger::Tally;
use serde::Serialize;
use standing::asked::Unrequested;

use crate::allowance::Limit;
use crate::run::Report;
use crate::select::SkipReason;
use cli::options::GlobalOptions;

/// The run summary; its fields are a stable interface.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub run_id: String,
    /// `full` or `delta`.
    pub mode: &'static str,
    /// Listed rows.
    pub listed: u64,
    /// Assets that need protection.
    pub selected: u64,
    /// Assets that are already protected, which cost no further request.
    pub skipped_unchanged: u64,
    /// Assets that a filter excluded.
    pub filtered_out: u64,
    /// Assets that were skipped for another reason, by reason: `failed_before`, `opted_out`, `job_open` and so on.
    /// Omitted if empty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_alone: BTreeMap<SkipReason, u64>,
    /// Jobs published.
    pub published: u64,
    /// Jobs that ended with a watermarked file.
    pub watermarked: u64,
    /// Jobs whose file turned out to be protected already.
    pub already_protected: u64,
    /// Jobs that crossed with a person's change.
    pub superseded: u64,
    /// Jobs whose result waits for a person's approval.
    pub awaiting_approval: u64,
    /// Jobs whose asset was deleted.
    pub gone: u64,
    /// Jobs that failed permanently.
    pub failed: u64,
    /// Results that could not be checked in full, by reason; one with several reasons counts under each. Omitted if
    /// empty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unchecked: BTreeMap<String, u64>,
    /// Portal calls made.
    pub portal_requests: u64,
    /// Bytes downloaded from both services.
    pub bytes_downloaded: u64,
    /// Bytes uploaded to both services.
    pub bytes_uploaded: u64,
    /// The duration of the run.
    pub seconds: f64,
    /// Whether jobs of the run will have no outcome, as far as is known; omitted if false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

impl Summary {
    /// How the command that did the run ends: failed jobs take precedence, then unreadable assets; a limit is named
    /// in any case.
    pub fn conclude(&self, limit: Option<Limit>, held: Option<&Unrequested>) -> Result<(), Failure> {
        let limit = limit.map(|limit| limit.to_string()).or_else(|| held.map(Unrequested::in_words));
        let failure = match (self.failed, self.unreadable()) {
            (0, 0) => return limit.map_or(Ok(()), |limit| Err(Failure::Limit(limit))),
            (0, unreadable) => Failure::Unreadable(unreadable),
            (failed, 0) => Failure::FailedJobs(failed),
            (failed, unreadable) => {
                output::talk(&Failure::Unreadable(unreadable).to_string());
                Failure::FailedJobs(failed)
            }
        };
        if let Some(limit) = limit {
            output::talk(&limit);
        }
        Err(failure)
    }

    /// Assets for which no job could be made.
    fn unreadable(&self) -> u64 {
        self.left_alone.get(&SkipReason::Unreadable).copied().unwrap_or_default()
    }

    /// Combines what the run found with the outcomes of its jobs.
    pub fn new(
        report: &Report,
        tally: &Tally,
        unchecked: BTreeMap<String, u64>,
        portal_requests: u64,
        seconds: f64,
    ) -> Self {
        let found = &report.found;
        let (mut skipped_unchanged, mut filtered_out, mut left_alone) = (0, 0, BTreeMap::new());
        for (&reason, &count) in &found.skipped {
            match reason {
                SkipReason::Unchanged => skipped_unchanged = count,
                SkipReason::Filtered(_) => filtered_out += count,
                other => drop(left_alone.insert(other, count)),
            }
        }
        Self {
            run_id: report.run_id.to_string(),
            mode: report.mode.name(),
            listed: found.listed,
            selected: found.selected,
            skipped_unchanged,
            filtered_out,
            left_alone,
            published: found.published,
            watermarked: tally.count("watermarked"),
            already_protected: tally.count("already_protected"),
            superseded: tally.count("superseded"),
            awaiting_approval: tally.count("awaiting_approval"),
            gone: tally.count("gone"),
            failed: tally.count("failed"),
            unchecked,
            portal_requests,
            bytes_downloaded: tally.bytes_downloaded,
            bytes_uploaded: tally.bytes_uploaded,
            seconds,
            incomplete: false,
        }
    }

    /// Prints it as the command line requests.
    pub fn print(&self, global: &GlobalOptions) {
        if global.json {
            output::json(self);
        } else if !global.quiet {
            for line in self.lines() {
                output::data(&line);
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "{} looked at, {} protected before, {} filtered out, {} to protect:",
                self.listed, self.skipped_unchanged, self.filtered_out, self.selected,
            ),
            format!(
                "  {} watermarked, {} already protected, {} superseded, {} awaiting approval, {} gone, {} failed",
                self.watermarked,
                self.already_protected,
                self.superseded,
                self.awaiting_approval,
                self.gone,
                self.failed,
            ),
        ];
        lines.extend(self.left_alone.iter().map(|(reason, count)| {
            let remedy = match reason {
                SkipReason::FailedBefore => ": connector failed list",
                SkipReason::Unsupported => {
                    ": limits.content_types of the wire profile does not list their types"
                }
                _ => "",
            };
            format!("  {count} left alone: {}{remedy}", reason.name().replace('_', " "))
        }));
        if !self.unchecked.is_empty() {
            let counted =
                self.unchecked.iter().map(|(reason, count)| format!("{count} {}", reason.replace('_', " ")));
            let counted = counted.collect::<Vec<_>>().join(", ");
            lines.push(format!("  results not checked in full: {counted} (connector report)"));
        }
        lines.push(format!("  {} Bynder calls, {:.0} s", self.portal_requests, self.seconds));
        lines
    }
}
