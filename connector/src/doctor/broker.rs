//! The broker: reachable with these credentials, and what is declared there. Looking leaves nothing there.

use common::config::Config;
use common::failure::Failure;
use common::queue::QueueError;
use common::queue::rabbitmq::Inventory;
use common::wiring;

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
    let (missing, depth) = (&inventory.missing, &inventory.depth);
    let finding = if missing.is_empty() {
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
