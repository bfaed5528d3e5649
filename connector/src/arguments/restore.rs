//! The command line of `connector restore`.

use clap::Args;
use common::asset::AssetId;

/// `connector restore`
#[derive(Debug, Clone, Args)]
#[command(override_usage = "connector restore [OPTIONS] --run RUN | --ids ID,… | --filter KEY=VALUE")]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) which: RestoreSelection,
    /// Only count them
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Which assets.
#[derive(Debug, Clone, Args)]
#[group(id = "assets", required = true, multiple = false)]
pub(crate) struct RestoreSelection {
    /// What this run protected
    #[arg(long)]
    pub(crate) run: Option<String>,
    /// These assets
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',')]
    pub(crate) ids: Vec<AssetId>,
    /// Protected assets by a filter with the configuration's name, such as metaproperties.Country=France
    #[arg(long = "filter", value_name = "KEY=VALUE")]
    pub(crate) filters: Vec<String>,
}
