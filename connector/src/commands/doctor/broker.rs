//! Checks the broker: whether these credentials work, and what is declared. Leaves nothing on the broker.

use common::failure::Failure;
use config::Config;
use queue::QueueError;
use rabbitmq::Inventory;

use super::report::{Finding, Report};

pub(super) async fn check(config: &Config, report: &mut Report) {
    let settings = match wiring::broker(config, "connector doctor") {
        Ok(settings) => settings,
        Err(failure) => return report.add("broker", Finding::Fail(failure.to_string(), 3)),
    };
    let inventory = match Inventory::take(&settings).await {
        Ok(inventory) => inventory,
        Err(error) => return report.add("broker", refused(error, &config.queue.prefix)),
    };
    report.add("broker", Finding::Pass("reachable with these credentials".to_owned()));
    let is_signed = config.broker.as_ref().is_some_and(|broker| broker.message_key.is_some());
    let finding = if is_signed {
        Finding::Pass("messages are signed".to_owned())
    } else {
        Finding::Warn(
            "messages are not signed: anyone who can write to the broker can put one asset's picture into another; set \
             broker.message_key for all processes at once, while no job is open"
                .to_owned(),
        )
    };
    report.add("broker message key", finding);
    let (missing, depth) = (&inventory.missing, &inventory.depth);
    let finding = if let Some(text) = inventory.without_home() {
        Finding::Warn(text)
    } else if missing.is_empty() {
        Finding::Pass(format!("{} jobs open, {} failed", depth.open(), depth.failed))
    } else {
        Finding::Pass(format!(
            "{} are not declared yet; the first producer or worker does that, and needs the rights to configure, write and \
             read names that start with {:?}",
            missing.len(),
            config.queue.prefix
        ))
    };
    report.add("broker queues", finding);
}

fn refused(error: QueueError, prefix: &str) -> Finding {
    match Failure::from(error) {
        failure @ Failure::Credential(_) => {
            Finding::Fail(format!("{failure} on names that start with {prefix:?}"), 4)
        }
        failure @ Failure::Configuration(_) => Finding::Fail(failure.to_string(), 3),
        failure => Finding::Fail(failure.to_string(), 5),
    }
}
