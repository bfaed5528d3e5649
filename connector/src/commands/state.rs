//! `connector state show | set | reset`.

use common::failure::Failure;
use common::ledger::Ledger;
use common::output;
use common::queue::{EmbeddedQueue, JobQueue};
use common::state::State as StateDirectory;
use producer::arguments::{self, Common};
use serde_json::json;

use crate::arguments::State;

pub(crate) async fn run(common: &Common, command: &State) -> Result<(), Failure> {
    let loaded = arguments::load(common, None)?;
    let directory = &loaded.config.producer.state_dir;
    match command {
        State::Show => {
            let Some(state) = StateDirectory::open_to_read(directory)? else {
                return Err(Failure::Usage(format!("{} holds no state yet", directory.display())));
            };
            let cursor = Ledger::new(state).cursor().await?;
            let shown = cursor.map_or_else(
                || "none: the next run goes over the whole library".to_owned(),
                |at| at.to_string(),
            );
            if common.json {
                output::data(&json!({"cursor": cursor}).to_string());
            } else {
                output::data(&format!("cursor: {shown}"));
            }
        }
        State::Set { since } => {
            let ledger = open(directory)?;
            ledger.set_cursor(Some(*since)).await?;
            output::talk(&format!("the next run goes over what changed since {since}"));
        }
        State::Reset => {
            let state = StateDirectory::open(directory)?;
            let open = EmbeddedQueue::open(state.clone()).await?.depth().await?.open();
            Ledger::new(state).set_cursor(None).await?;
            output::talk(&format!("the next run goes over the whole library; {open} open jobs are kept"));
        }
    }
    Ok(())
}

fn open(directory: &std::path::Path) -> Result<Ledger, Failure> {
    Ok(Ledger::new(StateDirectory::open(directory)?))
}
