//! The sandbox as a program: prints how to reach it and runs until it is stopped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use cli::output;
use cli::program;
use jiff::SignedDuration;
use sandbox::faults::Faults;
use sandbox::{Options, RateLimit};

/// A fake Bynder portal, its S3 and a fake Imatag, which audit what is done to each asset.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Assets in the library.
    #[arg(long, default_value_t = 60)]
    assets: usize,
    /// Decides everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The portal's request limit, or "off".
    #[arg(long, default_value = "4500/300s")]
    rate_limit: String,
    /// How far the listing lags behind.
    #[arg(long, default_value = "2s")]
    index_lag: SignedDuration,
    /// Faults from the start, as JSON.
    #[arg(long)]
    faults: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Ask the sandbox that listens there whether it is alive
    Healthcheck,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = match program::arguments::<Arguments>() {
        Ok(arguments) => arguments,
        Err(code) => return Ok(code),
    };
    cli::log::init(cli::output::LogFormat::Text, cli::log::Verbosity::Trouble);
    if let Some(Command::Healthcheck) = arguments.command {
        healthcheck(arguments.listen).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let rate_limit = match arguments.rate_limit.as_str() {
        "off" => None,
        text => Some(text.parse::<RateLimit>().map_err(anyhow::Error::msg)?),
    };
    let faults = match &arguments.faults {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_str(&text).with_context(|| format!("{} holds no faults", path.display()))?
        }
        None => Faults::default(),
    };
    let options = Options {
        listen: arguments.listen,
        assets: arguments.assets,
        seed: arguments.seed,
        rate_limit,
        index_lag: arguments.index_lag.try_into().context("--index-lag is negative")?,
        faults,
        ..Options::default()
    };
    let sandbox = sandbox::start(options).await.context("cannot start the sandbox")?;
    output::try_json(&sandbox.announcement())?;
    tokio::signal::ctrl_c().await?;
    Ok(ExitCode::SUCCESS)
}

/// Fails unless a sandbox answers at this address within three seconds.
async fn healthcheck(listen: SocketAddr) -> anyhow::Result<()> {
    let client = sandbox::client(Duration::from_secs(3))?;
    client.get(format!("http://{listen}/healthz")).send().await?.error_for_status()?;
    Ok(())
}
