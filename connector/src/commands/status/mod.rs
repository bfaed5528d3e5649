//! `connector status`: the state of the work, without changing anything and without a call to Bynder.

mod shown;

use std::io::ErrorKind;

use cli::options::GlobalOptions;
use cli::output;
use cli::signals::stop_on_signals;
use common::failure::Failure;
use config::Config;
use serde_json::Value;

use crate::arguments::Status;
use standing::Standing;

/// What `status --json` prints.
pub(super) async fn as_json(config: &Config) -> Result<Value, Failure> {
    Ok(Standing::now(config, false).await?.as_json())
}

pub(crate) async fn run(global: &GlobalOptions, status: &Status) -> Result<(), Failure> {
    let config = wiring::load_for(global, &[])?.config;
    let directory = config.producer.state_dir.display().to_string();
    let show = |standing: &Standing| {
        if global.json {
            return output::try_json(&standing.as_json());
        }
        shown::lines(standing, &directory).iter().try_for_each(|line| output::try_data(line))
    };
    if status.every.0.is_zero() {
        return Err(Failure::Usage("--every must be greater than zero, such as 5s".to_owned()));
    }
    if !status.watch {
        let standing = Standing::now(&config, status.embedded).await?;
        let _ = show(&standing);
        return standing.queues.depth.map(|_| ()).map_err(|failure| Failure::Reported(failure.code()));
    }
    let stop = stop_on_signals()?;
    let is_screen = output::is_screen() && !global.json;
    // A temporary outage of the broker is shown, and the next refresh tries again.
    while let Some(standing) = stop.run_until_cancelled(Standing::now(&config, status.embedded)).await {
        let standing = standing?;
        if is_screen {
            output::clear_screen();
        }
        match show(&standing) {
            Ok(()) => {}
            // The reader is gone, as with `| head`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            Err(error) => return Err(Failure::Unexpected(format!("cannot write the status: {error}"))),
        }
        if stop.run_until_cancelled(tokio::time::sleep(status.every.0)).await.is_none() {
            break;
        }
    }
    Ok(())
}
