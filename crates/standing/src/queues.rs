//! What the queue shows.

use budget::{OperatorPause, Records};
use common::failure::Failure;
use config::Config;
use ledger::state::State;
use queue::{Depth, EmbeddedQueue};
use rabbitmq::{Inventory, Member, roll_call};

/// What the queue shows, and what stops the work.
pub struct Queues {
    /// The jobs by state, or why the queue cannot be inspected.
    pub depth: Result<Depth, Failure>,
    /// The running processes; `None` without a broker, where there is at most one.
    pub members: Option<Vec<Member>>,
    /// Services that a process on this machine cannot use, if there is no broker to announce them.
    pub services_out: Vec<String>,
    /// A person's pause.
    pub paused: Option<OperatorPause>,
    /// Whether the egress group keeps silent after a 429.
    pub silent: bool,
}

impl Queues {
    /// Inspects the queue once, without changing anything: the fleet's over a connection of its own, or with `embedded` or
    /// without a broker this machine's.
    pub async fn inspect(config: &Config, state: Option<&State>, embedded: bool) -> Self {
        let mut queues = Self::on_record(config);
        if config.broker.is_some() && !embedded {
            match at_broker(config).await {
                Ok((inventory, members)) => {
                    (queues.paused, queues.silent) = (inventory.operator_pause, inventory.is_silent);
                    queues.members = Some(members);
                    queues.depth = Ok(inventory.depth);
                }
                Err(failure) => queues.depth = Err(failure),
            }
        } else if let Some(state) = state {
            queues.services_out = Records::new(&config.producer.state_dir).services_out();
            queues.depth = EmbeddedQueue::depth_in(state).await.map_err(Failure::from);
        }
        queues
    }

    /// What the records in the state directory show of a queue without jobs.
    pub fn on_record(config: &Config) -> Self {
        let records = Records::new(&config.producer.state_dir);
        Self {
            depth: Ok(Depth::default()),
            members: None,
            services_out: Vec::new(),
            paused: records.operator_pause(),
            silent: records.silence().is_some(),
        }
    }
}

async fn at_broker(config: &Config) -> Result<(Inventory, Vec<Member>), Failure> {
    let settings = wiring::broker(config, "connector status")?;
    let inventory = Inventory::take(&settings).await?;
    // If anything is not declared, no process is running.
    let members = if inventory.missing.is_empty() { roll_call(&settings).await? } else { Vec::new() };
    Ok((inventory, members))
}
