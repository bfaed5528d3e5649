//! `connector doctor`: one line a check, and what to do about it. Nothing is changed anywhere.

use crate::queues;
use common::beside::Beside;
use common::bynder::{Bynder, BynderError, ListQuery, written_fields};
use common::config::Config;
use common::failure::Failure;
use common::hash::ContentHash;
use common::imatag::ImatagError;
use common::queue::JobQueue;
use common::spool::Spool;
use common::state::{State, StateError};
use common::telemetry::Metrics;
use common::{output, wiring};
use jiff::{SignedDuration, Timestamp};
use producer::arguments::{self, Common};
use serde_json::json;

/// Clocks further apart than this make delta runs miss changes and signatures fail.
const WORST_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// How a check came out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    Pass(String),
    Warn(String),
    /// The problem, and the exit code of its kind.
    Fail(String, u8),
}

struct Report {
    json: bool,
    findings: Vec<(&'static str, Finding)>,
}

impl Report {
    fn add(&mut self, check: &'static str, finding: Finding) {
        let (word, text) = match &finding {
            Finding::Pass(text) => ("PASS", text),
            Finding::Warn(text) => ("WARN", text),
            Finding::Fail(text, _) => ("FAIL", text),
        };
        if !self.json {
            output::data(&format!("{word}  {check}: {text}"));
        }
        self.findings.push((check, finding));
    }

    fn end(self) -> Result<(), Failure> {
        if self.json {
            let checks: Vec<_> = self
                .findings
                .iter()
                .map(|(check, finding)| match finding {
                    Finding::Pass(text) => json!({"check": check, "result": "pass", "text": text}),
                    Finding::Warn(text) => json!({"check": check, "result": "warn", "text": text}),
                    Finding::Fail(text, _) => json!({"check": check, "result": "fail", "text": text}),
                })
                .collect();
            output::data(&json!({"checks": checks}).to_string());
        }
        let codes = self.findings.iter().filter_map(|(_, finding)| match finding {
            Finding::Fail(_, code) => Some(*code),
            Finding::Pass(_) | Finding::Warn(_) => None,
        });
        // Configuration before permission before what passes by itself: the order in which a person mends things.
        codes.min().map_or(Ok(()), |code| Err(Failure::Told(code)))
    }
}

pub(crate) async fn run(common: &Common) -> Result<(), Failure> {
    let mut report = Report { json: common.json, findings: Vec::new() };
    let loaded = match arguments::load(common, None) {
        Ok(loaded) => loaded,
        Err(failure) => {
            report.add("configuration", Finding::Fail(failure.to_string(), 3));
            return report.end();
        }
    };
    let config = &loaded.config;
    report.add("configuration", Finding::Pass("can be read, no key is unknown".to_owned()));
    for warning in &loaded.warnings {
        report.add("configuration", Finding::Warn(warning.clone()));
    }
    local(config, &mut report);
    let beside = Beside::open(config, "doctor").await;
    match wiring::bynder(config, &beside.budget, &Metrics::new()) {
        Ok(bynder) => portal(config, &bynder, &mut report).await,
        Err(failure) => report.add("Bynder credential", Finding::Fail(failure.to_string(), 3)),
    }
    beside.leave().await;
    watermarking(config, &mut report).await;
    if config.broker.is_some() {
        broker(config, &mut report).await;
    }
    report.end()
}

fn local(config: &Config, report: &mut Report) {
    let directory = &config.producer.state_dir;
    let finding = match State::open(directory) {
        Ok(_) => Finding::Pass(format!("{} can be used", directory.display())),
        Err(error @ StateError::InUse { .. }) => Finding::Warn(error.to_string()),
        Err(error) => Finding::Fail(error.to_string(), 3),
    };
    report.add("state directory", finding);
    let directory = &config.worker.spool_dir;
    let finding = match Spool::open(directory, config.worker.spool_max.as_u64()) {
        Ok(_) => Finding::Pass(format!("{} can be written", directory.display())),
        Err(error) => Finding::Fail(
            format!("cannot write to {}: {error}; set worker.spool_dir", directory.display()),
            3,
        ),
    };
    report.add("spool directory", finding);
}

fn failed(error: &BynderError) -> Finding {
    let code = match error {
        BynderError::Unauthorized { .. } | BynderError::Forbidden { .. } => 4,
        BynderError::Misconfigured { .. } | BynderError::NotFound { .. } => 3,
        BynderError::Paused { .. } | BynderError::Shared { .. } | BynderError::Unavailable { .. } => 5,
        BynderError::Refused { .. } | BynderError::Unexpected { .. } | BynderError::Local { .. } => 1,
    };
    Finding::Fail(error.to_string(), code)
}

async fn portal(config: &Config, bynder: &Bynder, report: &mut Report) {
    match bynder.account().await {
        Ok(account) => report.add("Bynder portal", Finding::Pass(format!("signed in to {:?}", account.name))),
        Err(error) => return report.add("Bynder portal", failed(&error)),
    }
    let query = ListQuery { limit: 1, page: 1, include_versions: true, ..ListQuery::default() };
    match bynder.list(&query).await {
        Ok(page) => {
            report.add(
                "Bynder assets",
                Finding::Pass("the token may list assets (scope asset:read)".to_owned()),
            );
            if page.assets.first().is_some_and(|asset| asset.active_version.is_none()) {
                let text = "listings tell no version numbers: each changed asset costs one more call";
                report.add("Bynder versions", Finding::Warn(text.to_owned()));
            }
            if let Some(portal) = page.portal_time {
                report.add("clock", skew(Timestamp::now().duration_since(portal).abs()));
            }
        }
        Err(BynderError::Forbidden { .. }) => {
            let text = "the token may not list assets: give it the scope asset:read";
            report.add("Bynder assets", Finding::Fail(text.to_owned(), 4));
        }
        Err(error) => report.add("Bynder assets", failed(&error)),
    }
    match bynder.metaproperties().await {
        Ok(known) => {
            let finding = match written_fields(&known, config) {
                Ok(found) => {
                    let status =
                        found.status.map(|status| format!(" and {}", status.name)).unwrap_or_default();
                    let name = &found.hash.name;
                    Finding::Pass(format!("{name}{status}: editable text that the API shows"))
                }
                Err(error) => Finding::Fail(error.to_string(), 3),
            };
            report.add("hash metaproperty", finding);
        }
        Err(BynderError::Forbidden { .. }) => {
            let text = "the token may not list metaproperties: give it the scope meta.assetbank:read";
            report.add("hash metaproperty", Finding::Fail(text.to_owned(), 4));
        }
        Err(error) => report.add("hash metaproperty", failed(&error)),
    }
    let finding = match bynder.roles().await {
        Ok(roles) => may_upload(&roles),
        Err(error) => Finding::Warn(format!(
            "cannot be asked for ({error}): with a user who may only upload for approval, each save waits for a person"
        )),
    };
    report.add("Bynder right to upload", finding);
    let text = "not tried, since trying would change an asset: the token needs the scope asset:write, its user the roles \
                MEDIAHIGHRES, MEDIAUPLOAD and MEDIAEDIT";
    report.add("Bynder rights to write", Finding::Warn(text.to_owned()));
}

/// What the user's roles mean for saving.
fn may_upload(roles: &[String]) -> Finding {
    let has = |role: &str| roles.iter().any(|known| known == role);
    if has("MEDIAUPLOAD") {
        Finding::Pass("what is saved shows at once (role MEDIAUPLOAD)".to_owned())
    } else if has("MEDIAUPLOADFORAPPROVAL") {
        let text = "the user may only upload for approval: each job ends as awaiting_approval, and what it saved shows once a \
                    person approves it; give the user the role MEDIAUPLOAD to do without";
        Finding::Warn(text.to_owned())
    } else {
        Finding::Fail("the user may not upload: give it the role MEDIAUPLOAD".to_owned(), 4)
    }
}

async fn broker(config: &Config, report: &mut Report) {
    let queue = match queues::fleet(config).await {
        Ok(queue) => {
            report.add("broker", Finding::Pass("reachable, and its queues are declared".to_owned()));
            queue
        }
        Err(failure @ Failure::Credential(_)) => {
            let text = format!(
                "{failure}; check broker.url, and the user's rights on names that start with {:?}",
                config.queue.prefix
            );
            return report.add("broker", Finding::Fail(text, 4));
        }
        Err(failure @ Failure::Configuration(_)) => {
            return report.add("broker", Finding::Fail(failure.to_string(), 3));
        }
        Err(failure) => return report.add("broker", Finding::Fail(failure.to_string(), 5)),
    };
    let finding = match queue.depth().await {
        Ok(depth) => Finding::Pass(format!("{} jobs open, {} failed", depth.open(), depth.failed)),
        Err(error) => Finding::Fail(format!("the queues cannot be looked at: {error}"), 5),
    };
    report.add("broker queues", finding);
}

fn skew(apart: SignedDuration) -> Finding {
    if apart <= WORST_SKEW {
        Finding::Pass("agrees with the portal's".to_owned())
    } else {
        Finding::Warn(format!("is {} s off the portal's; set this machine's clock", apart.as_secs()))
    }
}

async fn watermarking(config: &Config, report: &mut Report) {
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
                "{} is not confirmed against a real account: protect one asset with --max-assets 1 first, and look at it",
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
    let Ok(nobody) = "00000000-0000-0000-0000000000000000".parse() else { return };
    let finding = match imatag.find(&nobody, ContentHash::from_bytes([0; 32])).await {
        Ok(_) => Finding::Pass("the credential is accepted and the directory can be searched".to_owned()),
        Err(error) => {
            let code = match &error {
                ImatagError::Unauthorized { .. } | ImatagError::Forbidden { .. } => 4,
                ImatagError::Misconfigured { .. } | ImatagError::Refused { .. } => 3,
                ImatagError::Busy { .. } | ImatagError::Paused { .. } | ImatagError::Unavailable { .. } => 5,
                ImatagError::UnknownMedium { .. } | ImatagError::Unexpected { .. } => 1,
            };
            Finding::Fail(error.to_string(), code)
        }
    };
    report.add("Imatag", finding);
}
