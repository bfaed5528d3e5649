//! What stops a whole process for a time: a person's pause, and a silence that another process recorded.

use std::time::Duration;

use super::gate::Budget;
use super::record::OperatorPause;

/// How often the records are read without a broker.
const POLL_EVERY: Duration = Duration::from_millis(500);

impl Budget {
    /// A person's pause, if there is one.
    pub fn operator_pause(&self) -> Option<OperatorPause> {
        self.shared.operator.borrow().clone()
    }

    /// Sets or ends a person's pause, and logs the change.
    pub fn set_operator_pause(&self, pause: Option<OperatorPause>) {
        let changed = self.shared.operator.send_if_modified(|known| {
            let changed = known.is_some() != pause.is_some();
            known.clone_from(&pause);
            changed
        });
        match (changed, pause) {
            (true, Some(pause)) => tracing::warn!(
                since = %pause.since, reason = pause.reason, "paused by a person; no jobs are taken until `connector resume`"
            ),
            (true, None) => tracing::info!("resumed"),
            (false, _) => {}
        }
    }

    /// Waits until jobs may be taken: neither silence nor a person's pause. Cancel-safe.
    pub async fn resumed(&self) {
        let mut operator = self.shared.operator.subscribe();
        loop {
            let _ = operator.wait_for(Option::is_none).await;
            let Some(remaining) = self.paused() else { return };
            tokio::time::sleep(remaining.min(POLL_EVERY)).await;
        }
    }

    /// Whether no jobs may be taken: there is a silence or a person's pause.
    pub fn is_halted(&self) -> bool {
        // Release this lock before taking the member's: `figures` takes both in the opposite order.
        let is_paused_by_a_person = self.shared.operator.borrow().is_some();
        is_paused_by_a_person || self.paused().is_some()
    }

    /// Waits until no jobs may be taken. Cancel-safe.
    pub async fn halted(&self) {
        let (mut operator, mut changed) = (self.shared.operator.subscribe(), self.shared.changed.subscribe());
        while !self.is_halted() {
            tokio::select! {
                _ = operator.changed() => {}
                _ = changed.changed() => {}
            }
        }
    }

    /// Follows the records of a process without a broker: a person's pause, and the silence of another process in the same state
    /// directory. Runs until it is dropped; returns at once if there are no records.
    pub async fn follow_records(&self) {
        let Some(records) = &self.shared.records else { return };
        let mut known = None;
        loop {
            self.set_operator_pause(records.operator_pause());
            // Each record counts once: a clock that is set back would make an old one look new.
            if let Some((left, since)) =
                records.silence_put_on_record().filter(|(_, since)| known != Some(*since))
            {
                known = Some(since);
                let now = self.now();
                self.member().on_record(left, now);
                self.shared.changed.send_replace(());
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
}
