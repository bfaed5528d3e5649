//! `connector notify-test`: one message through each configured receiver, and what became of it.

use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use notify::{Delivery, Kind, Notice, Remedy};
use serde::Serialize;

#[derive(Serialize)]
struct Line {
    receiver: &'static str,
    accepted: bool,
    reason: Option<String>,
}

pub(crate) async fn run(global: &GlobalOptions) -> Result<(), Failure> {
    let config = wiring::load_for(global, &[])?.config;
    let notifier = wiring::notifier(&config)?;
    if !notifier.has_receivers() {
        let reason = "[notify] has no receiver; write webhook = { file = … } or a section [notify.mail]";
        return Err(Failure::Configuration(reason.to_owned()));
    }
    let deliveries = notifier.try_each(&Notice::new(Kind::Test)).await;
    for Delivery { receiver, result } in &deliveries {
        let reason = result.as_ref().err().map(ToString::to_string);
        if global.json {
            output::json(&Line { receiver, accepted: reason.is_none(), reason });
        } else {
            let ended = reason.map_or_else(|| "accepted".to_owned(), |reason| format!("failed: {reason}"));
            output::data(&format!("{receiver}: {ended}"));
        }
    }
    let failed =
        deliveries.into_iter().filter_map(|delivery| Some((delivery.receiver, delivery.result.err()?)));
    failed.map(|(receiver, refusal)| failure(receiver, refusal.remedy)).next().map_or(Ok(()), Err)
}

fn failure(receiver: &str, remedy: Remedy) -> Failure {
    match remedy {
        Remedy::TryAgain => Failure::Temporary(format!(
            "no message through the {receiver}; check its address and this machine's way there, or try again later"
        )),
        Remedy::Settings => Failure::Configuration(format!(
            "no message through the {receiver}; check its settings in [notify] (docs/configuration.md)"
        )),
        Remedy::Credential => Failure::Credential(format!(
            "no message through the {receiver}; check its secret: a webhook's address, or a mail server's user and password"
        )),
    }
}
