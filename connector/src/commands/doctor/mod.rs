//! `connector doctor`: one line for each check, with the remedy. It only reads, except for the write test on request,
//! which restores what it changed. What it found and the facts around it go into one file for support.

mod broker;
mod bundle;
mod local;
mod portal;
mod report;
mod rights;
mod versions;
mod watermarking;
mod write_test;

use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use config::Loaded;
use telemetry::Metrics;
use wiring::command_budget::CommandBudget;

use crate::arguments::Doctor;
use report::{Finding, Report};

pub(crate) async fn run(global: &GlobalOptions, doctor: &Doctor) -> Result<(), Failure> {
    let mut report = Report::new(global.json);
    let loaded = check(global, doctor, &mut report).await;
    if let Some(file) = &doctor.bundle {
        bundle::write(loaded.as_ref(), &report, file, doctor.with_names).await?;
        output::talk(&format!(
            "{} is for the connector's support; README.txt in it says what it holds",
            file.display()
        ));
    }
    report.end()
}

/// Returns the configuration, if it can be read.
async fn check(global: &GlobalOptions, doctor: &Doctor, report: &mut Report) -> Option<Loaded> {
    let loaded = match wiring::load_for(global, &[]) {
        Ok(loaded) => loaded,
        Err(failure) => {
            let has_file = global.config.is_some() || std::path::Path::new(wiring::DEFAULT_FILE).exists();
            let remedy = if has_file { "" } else { "; `connector init` writes one" };
            report.add("configuration", Finding::Fail(format!("{failure}{remedy}"), 3));
            return None;
        }
    };
    let config = &loaded.config;
    report.add("configuration", Finding::Pass("can be read, no key is unknown".to_owned()));
    for warning in &loaded.warnings {
        report.add("configuration", Finding::Warn(warning.clone()));
    }
    local::check(config, &loaded.origins, report);
    let command_budget = CommandBudget::open_to_check(config, "doctor").await;
    match wiring::bynder(config, &command_budget.budget, &Metrics::new()) {
        Ok(bynder) => {
            let field = portal::check(config, &bynder, report).await;
            let not_tried = match (&doctor.write_test, field) {
                (Some(asset), Some(field)) if report.is_well() => {
                    write_test::run(&bynder, &field, asset, report).await;
                    None
                }
                (Some(_), _) => Some("not tried; mend what failed first"),
                (None, _) => Some(
                    "not tried: the token needs the scope asset:write; --write-test ASSET_ID writes to that asset and puts it \
                     back, and compares two downloads of its file",
                ),
            };
            if let Some(why) = not_tried {
                report.add("Bynder right to write", Finding::Warn(why.to_owned()));
            }
        }
        Err(failure) => report.add("Bynder credential", Finding::Fail(failure.to_string(), 3)),
    }
    command_budget.leave().await;
    watermarking::check(config, report).await;
    if config.broker.is_some() {
        broker::check(config, report).await;
    }
    Some(loaded)
}
