//! Checks the portal: connection, the token's scopes, the user's roles, the metaproperty, the clock.

use bynder::{Bynder, BynderError, DateField, ListQuery, Metaproperty, Order};
use config::Config;
use jiff::{SignedDuration, Timestamp};
use producer::filter::ResolveError;
use producer::portal::{PortalError, resolve};
use wiring::written_fields;

use super::report::{Finding, Report, failed};
use super::{rights, versions};

/// If the clocks differ by more than this, delta runs miss changes and signatures fail.
const WORST_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// How many of the latest changed assets are searched for one with several versions.
const ROWS: u32 = 100;

/// Runs all checks; returns the hash metaproperty if it is usable.
pub(super) async fn check(config: &Config, bynder: &Bynder, report: &mut Report) -> Option<Metaproperty> {
    match bynder.account().await {
        Ok(account) => report.add("Bynder portal", Finding::Pass(format!("signed in to {:?}", account.name))),
        Err(error) => {
            report.add("Bynder portal", failed(&error));
            return None;
        }
    }
    listing(bynder, report).await;
    let field = metaproperty(config, bynder, report).await;
    if field.is_some() {
        names(config, bynder, report).await;
    }
    match bynder.roles().await {
        Ok(roles) => {
            report.add("Bynder right to upload", rights::may_upload(&roles));
            report.add("Bynder right to download", rights::may_download(&roles));
            report.add("Bynder right to edit", rights::may_edit(&roles, config.output.mode));
        }
        Err(error) => {
            let text = format!(
                "the user's roles cannot be asked for ({error}): it needs MEDIAHIGHRES, MEDIAUPLOAD and MEDIAEDIT; with a \
                 user who may only upload for approval, each save waits for a person"
            );
            report.add("Bynder user's roles", Finding::Warn(text));
        }
    }
    field
}

async fn listing(bynder: &Bynder, report: &mut Report) {
    let order = Some((DateField::Modified, Order::Descending));
    let query = ListQuery { limit: ROWS, page: 1, order, include_versions: true, ..ListQuery::default() };
    match bynder.list(&query).await {
        Ok(page) => {
            let text = "the token may list assets (scope asset:read)";
            report.add("Bynder assets", Finding::Pass(text.to_owned()));
            versions::check(bynder, &page.assets, report).await;
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
}

async fn metaproperty(config: &Config, bynder: &Bynder, report: &mut Report) -> Option<Metaproperty> {
    let (finding, field) = match bynder.metaproperties().await {
        Ok(known) => match written_fields(&known, config) {
            Ok(found) => {
                let status = found.status.map(|status| format!(" and {}", status.name)).unwrap_or_default();
                let text = format!("{}{status}: editable text that the API shows", found.hash.name);
                (Finding::Pass(text), Some(found.hash.clone()))
            }
            Err(error) => (Finding::Fail(error.to_string(), 3), None),
        },
        Err(BynderError::Forbidden { .. }) => {
            let text = "the token may not list metaproperties: give it the scope meta.assetbank:read";
            (Finding::Fail(text.to_owned(), 4), None)
        }
        Err(error) => (failed(&error), None),
    };
    report.add("hash metaproperty", finding);
    field
}

/// Checks that the portal knows the names in filters and directories: a run would fail otherwise.
async fn names(config: &Config, bynder: &Bynder, report: &mut Report) {
    let finding = match resolve(config, bynder).await {
        Ok(_) => Finding::Pass("what filters and directories name is there".to_owned()),
        Err(PortalError::Filter(ResolveError::Bynder(error)) | PortalError::Bynder(error)) => failed(&error),
        Err(error) => Finding::Fail(error.to_string(), 3),
    };
    report.add("names in the configuration", finding);
}

fn skew(apart: SignedDuration) -> Finding {
    if apart <= WORST_SKEW {
        Finding::Pass("agrees with the portal's".to_owned())
    } else {
        Finding::Warn(format!("is {} s off the portal's; set this machine's clock", apart.as_secs()))
    }
}
