//! The guard before the first run over a library.

use cli::output;
use common::failure::Failure;
use config::Config;

use crate::arguments::RunArguments;
use crate::estimate;
use crate::run::{self, Environment, Options};
use bynder::patience::Patience;

/// The first run over a library would watermark all of it, and each watermark is paid for, so it has to be
/// requested.
pub(crate) async fn guard(
    config: &Config,
    run: &RunArguments,
    environment: &Environment,
    options: &Options,
    patience: &Patience,
    ran_before: bool,
) -> Result<(), Failure> {
    let capped = run.max_assets.is_some() || config.limits.assets_per_run.is_some();
    // Naming the assets counts as requesting them.
    let asked_for = run.full || run.since.is_some() || run.ids_from.is_some();
    if ran_before || asked_for || capped {
        return Ok(());
    }
    let dry = Options { dry_run: true, ..options.clone() };
    let report = run::run(environment, &dry, patience, |_| {}).await?;
    output::talk("This is the first run over this library. It would do the following:");
    estimate::print(&report, config, output::talk);
    Err(Failure::Limit(
        "nothing was done. Run again with --full to protect all of it, with --since to continue from a time, or with \
         --max-assets (or limits.assets_per_run) for a part"
            .to_owned(),
    ))
}
