//! `connector completions` and `connector man`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

/// `connector completions`
#[derive(Debug, Clone, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
    /// The program whose command line is completed
    #[arg(long, value_enum, default_value_t = Program::Connector)]
    pub(crate) program: Program,
}

/// `connector man`
#[derive(Debug, Clone, Args)]
pub(crate) struct Man {
    /// The folder, made where it is missing, such as ~/.local/share/man/man1
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// The programs that a person starts.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Program {
    Connector,
    Producer,
    Worker,
}
