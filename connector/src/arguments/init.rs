//! `connector init`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use config::OutputMode;

/// `connector init`: the file is that of `--config`, or `connector.toml`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Init {
    /// The Bynder portal, such as acme.bynder.com
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// Name of the text metaproperty for the hash, by default `imatag_hash`
    #[arg(long, value_name = "NAME")]
    pub(crate) hash_metaproperty: Option<String>,
    /// Where Imatag keeps the media; starts with your homedir
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) imatag_directory: Option<String>,
    /// Kinds of assets to protect [default: image]
    #[arg(long, value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// What becomes of the watermarked file [default: version]
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
    /// Read the secrets from files in this folder instead of the environment
    #[arg(long, value_name = "FOLDER")]
    pub(crate) secrets_in: Option<PathBuf>,
    /// With a section for the broker of a fleet
    #[arg(long)]
    pub(crate) broker: bool,
    /// Overwrite an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

/// What becomes of the watermarked file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// A new version of the asset
    Version,
    /// Another asset
    Copy,
    /// An additional file of the asset
    Additional,
}

impl From<Mode> for OutputMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Version => Self::Version,
            Mode::Copy => Self::Copy,
            Mode::Additional => Self::Additional,
        }
    }
}
