//! `connector trial`

use std::path::PathBuf;

use clap::Args;

/// `connector trial`
#[derive(Debug, Clone, Args)]
pub(crate) struct Trial {
    /// A picture, film or PDF without a watermark
    pub(crate) file: PathBuf,
    /// Do not ask before the file is submitted
    #[arg(long)]
    pub(crate) yes: bool,
    /// Keep the watermarked file here
    #[arg(long, value_name = "FILE")]
    pub(crate) keep: Option<PathBuf>,
    /// If all goes well, write into the configuration that the profile is confirmed
    #[arg(long)]
    pub(crate) record: bool,
}
