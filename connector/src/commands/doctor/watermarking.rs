//! Checks Imatag: the credential, the directory, and how well the wire profile is confirmed.

use common::asset::AssetId;
use common::hash::ContentHash;
use config::Config;
use imatag::ImatagError;
use telemetry::Metrics;

use super::report::{Finding, Report};

pub(super) async fn check(config: &Config, report: &mut Report) {
    let imatag = match wiring::imatag(config, &Metrics::new()) {
        Ok(imatag) => imatag,
        Err(failure) => return report.add("Imatag", Finding::Fail(failure.to_string(), 3)),
    };
    match config.imatag.wire() {
        Ok(profile) if profile.confirmed => {
            report.add("Imatag wire profile", Finding::Pass(format!("{} is confirmed", profile.name)));
        }
        Ok(profile) => {
            let text = format!(
                "{} is not confirmed against a real account: try one file with connector trial FILE, then one asset with --max-assets 1",
                profile.name
            );
            report.add("Imatag wire profile", Finding::Warn(text));
        }
        Err(error) => return report.add("Imatag wire profile", Finding::Fail(error.to_string(), 3)),
    }
    if !imatag.can_find() {
        let text =
            "the profile has no [find]: an asset whose submit is interrupted has to be looked up by hand";
        report.add("Imatag", Finding::Warn(text.to_owned()));
        return;
    }
    let (nobody, no_file) = (AssetId::impossible(), ContentHash::from_bytes([0; 32]));
    let finding = match imatag.find(&nobody, no_file, &config.imatag.directory).await {
        Ok(_) => {
            let searched = match config.imatag.all_directories().len() {
                1 => "the directory".to_owned(),
                several => format!("all {several} directories"),
            };
            Finding::Pass(format!(
                "the credential is accepted, and the search of {searched} shows no medium for an asset that does not exist"
            ))
        }
        Err(error) => {
            let code = match &error {
                ImatagError::Unauthorized { .. } | ImatagError::Forbidden { .. } => 4,
                ImatagError::Misconfigured { .. } | ImatagError::Refused { .. } => 3,
                ImatagError::Busy { .. }
                | ImatagError::Paused { .. }
                | ImatagError::Withheld { .. }
                | ImatagError::Unavailable { .. } => 5,
                ImatagError::UnknownMedium { .. } | ImatagError::Unexpected { .. } => 1,
            };
            let remedy = if matches!(error, ImatagError::Unavailable { .. }) {
                "; if it stays so, check imatag.base_url or the profile's, and this machine's network and name servers"
            } else {
                ""
            };
            Finding::Fail(format!("{error}{remedy}"), code)
        }
    };
    report.add("Imatag", finding);
}
