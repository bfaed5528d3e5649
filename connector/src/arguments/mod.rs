//! The command line.

mod evidence;
mod init;
mod restore;
mod shell;
mod trial;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, value_parser};
use cli::options::GlobalOptions;
use common::asset::AssetId;
use config::{Span, read_moment};
use jiff::Timestamp;
use producer::arguments::RunArguments;

pub(crate) use evidence::{Format, ListFormat, Lookup, Plan, Report, ReportScope, Verify};
pub(crate) use init::Init;
pub(crate) use restore::Restore;
pub(crate) use shell::{Completions, Man, Program};
pub(crate) use trial::Trial;

/// Keeps a Bynder library protected with invisible Imatag watermarks.
#[derive(Debug, Parser)]
#[command(
    version,
    name = "connector",
    bin_name = "connector",
    max_term_width = 80,
    after_help = "Exit codes: 0 done, 1 unexpected, 2 usage, 3 configuration or secret, \
    4 authentication or permission, 5 temporary, 6 finished with failed jobs or broken protection, 8 safety limit reached."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it all on a sandbox: protect its library, verify each asset, run again
    Demo(Demo),
    /// Write a commented configuration, from flags or by asking
    Init(Init),
    /// Protect the library from this machine
    Sync(RunArguments),
    /// Keep the library protected from this machine, by a schedule, until stopped
    Serve(RunArguments),
    /// Check that `connector serve` on this machine is alive
    Healthcheck,
    /// Say what a run would do, and do nothing
    Plan(Plan),
    /// Check configuration, portal, Imatag and broker, one line per check; changes nothing
    Doctor(Doctor),
    /// Send one file through Imatag, with a transcript: does the wire profile fit this account?
    Trial(Trial),
    /// Show progress, backlog by step, and failed jobs
    Status(Status),
    /// Take no more jobs until resumed; steps under way still end
    Pause(Pause),
    /// Resume after a pause
    Resume(Resume),
    /// List, show, replay or drop failed jobs
    #[command(subcommand)]
    Failed(Failed),
    /// What the ledger holds: each asset with its versions, hashes, Imatag id and outcome
    Report(Report),
    /// Whose is this file? Finds the asset by an original or a watermarked file
    Lookup(Lookup),
    /// Whether protected assets still hold what their markers say: all by listing, a part by download
    Verify(Verify),
    /// Undo: put originals back as new versions and opt the assets out; counts and asks first
    Restore(Restore),
    /// Show or change what the next run starts from
    #[command(subcommand)]
    State(State),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(Config),
    /// Send one message through each receiver of [notify], and say what became of it
    NotifyTest,
    /// Make keys, and encrypt secrets for the configuration
    #[command(subcommand)]
    Secrets(Secrets),
    /// Print what a shell completes on the command line
    Completions(Completions),
    /// Write the man pages of all commands into a folder
    Man(Man),
}

/// `connector demo`
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Assets in the sandbox's library
    #[arg(long, default_value_t = 60)]
    pub(crate) assets: usize,
    /// Decides everything random
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Keep the sandbox running afterwards, to look at its page
    #[arg(long)]
    pub(crate) keep: bool,
}

/// `connector doctor`
#[derive(Debug, Clone, Args)]
pub(crate) struct Doctor {
    /// Write the hash metaproperty of this asset, and put it back
    #[arg(long, value_name = "ASSET_ID")]
    pub(crate) write_test: Option<AssetId>,
    /// Also write what support needs into this new file: checks, configuration, state, failures; no
    /// secrets
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Leave the names of assets in the bundle
    #[arg(long, requires = "bundle")]
    pub(crate) with_names: bool,
}

/// `connector status`
#[derive(Debug, Clone, Args)]
pub(crate) struct Status {
    /// This machine's own queue although a broker is configured
    #[arg(long)]
    pub(crate) embedded: bool,
    /// Show it again and again until interrupted; with --json a line each time
    #[arg(long)]
    pub(crate) watch: bool,
    /// How long to wait in between
    #[arg(long, default_value = "5s", value_name = "SPAN")]
    pub(crate) every: Span,
}

/// `connector resume`
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Resume {
    /// This machine's own work although a broker is configured
    #[arg(long)]
    pub(crate) embedded: bool,
}

/// `connector pause`
#[derive(Debug, Clone, Args)]
pub(crate) struct Pause {
    /// Pause the work of the local queue even if a broker is configured
    #[arg(long)]
    pub(crate) embedded: bool,
    /// Reason that `status` shows
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// Which failed jobs.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FailedSelection {
    /// Use the local queue even if a broker is configured
    #[arg(long)]
    pub(crate) embedded: bool,
    /// The job with this id
    #[arg(long)]
    pub(crate) job: Option<String>,
    /// Jobs of this asset
    #[arg(long)]
    pub(crate) asset: Option<String>,
    /// Jobs that failed in this way, such as permission or unsupported
    #[arg(long)]
    pub(crate) class: Option<String>,
    /// Jobs of assets with this text in their name
    #[arg(long)]
    pub(crate) name: Option<String>,
}

/// A page of the failed jobs.
#[derive(Debug, Clone, Args)]
pub(crate) struct FailedPage {
    #[command(flatten)]
    pub(crate) which: FailedSelection,
    /// The page to show
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) page: u64,
    /// How many jobs a page has
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u64).range(1..=1000))]
    pub(crate) limit: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Failed {
    /// List failed jobs, one per line, by class, the oldest first
    List(FailedPage),
    /// How many jobs failed in each way
    Count(FailedSelection),
    /// Everything about failed jobs, their attempts included
    Show(FailedSelection),
    /// Send failed jobs back to their step; the workers, or the next sync, take them up
    Replay(Change),
    /// Forget failed jobs; their assets are not tried again until they change
    Drop(Change),
}

/// Failed jobs to change.
#[derive(Debug, Clone, Args)]
pub(crate) struct Change {
    #[command(flatten)]
    pub(crate) which: FailedSelection,
    /// Only count them
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum State {
    /// The cursor and the open and failed jobs
    Show,
    /// Have the next run go over what changed since this time
    Set {
        /// The time, such as 2026-01-31 or 2026-01-31T08:00:00Z
        #[arg(long, value_parser = read_moment)]
        since: Timestamp,
    },
    /// Forget the cursor: the next run goes over the whole library
    Reset,
    /// Move older history into compressed files that `report` and `lookup` search
    ///
    /// Each asset keeps its latest outcome in the state file, and failed jobs stay there.
    Archive {
        /// Outcomes of jobs that ended before this time, such as 2026-01-31
        #[arg(long, value_parser = read_moment)]
        before: Timestamp,
    },
    /// Write the state and its archive into one new file, also while the connector runs
    Backup {
        /// The file, such as state-2026-01-31.tar.gz
        file: PathBuf,
    },
    /// Put the state of a backup in the place of the present one, which is kept
    ///
    /// Only while nothing else uses the state directory. Takes what `state backup` wrote, and the
    /// copies of the state file in `backups`.
    Restore {
        /// The backup
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Read it and say whether it can be used
    Check,
    /// Print the JSON schema of the file, for editors
    Schema,
    /// Each given value and where it came from; secrets are not shown
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Make a key pair: the identity decrypts and stays secret, the recipient encrypts
    Keygen {
        /// Write the identity into this new file, which other users cannot read, and print only the recipient
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Encrypt the secret on standard input for { encrypted = … }
    Encrypt {
        /// The recipient that keygen printed
        #[arg(long)]
        recipient: String,
    },
    /// Encrypt each encrypted secret of the configuration file for another recipient
    Rotate {
        /// The recipient of the new key pair
        #[arg(long)]
        recipient: String,
    },
}
