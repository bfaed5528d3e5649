//! The budget of a command that a person runs while a fleet, or a `sync` on the same machine, works.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::task::AbortOnDropHandle;

use crate::quiet_hours;
use budget::{Budget, Records};
use cli::output;
use common::failure::Failure;
use config::Config;
use rabbitmq::{Broker, EgressGroup, Inventory};

/// Without a broker, such a command uses the budget divided by this.
const FRACTION: u32 = 10;
/// How long to wait for the broker.
const PATIENCE: Duration = Duration::from_secs(5);

/// A budget, and the tasks that keep it up to date until this is dropped.
pub struct CommandBudget {
    pub budget: Budget,
    keeping: Vec<AbortOnDropHandle<()>>,
    group: Option<EgressGroup>,
}

impl CommandBudget {
    /// With a broker, joins the egress group, so that the command's calls are counted and a silence applies to it. Without one,
    /// or before a fleet has declared anything on it, uses a tenth of the budget, and the silences in the state directory apply.
    ///
    /// # Errors
    /// The broker is configured but cannot be used: then no call may be made.
    pub async fn open(config: &Config, program: &str) -> Result<Self, Failure> {
        if config.broker.is_none() {
            return Ok(Self::with_fraction(config));
        }
        let Some(group) = group(config, program).await? else { return Ok(Self::with_fraction(config)) };
        let budget = Budget::of_group(config.bynder.requests_per_5_minutes);
        let keeping = vec![quiet_hours::keep(config, &budget), group.join(&budget)];
        Ok(Self { budget, keeping, group: Some(group) })
    }

    /// Like [`CommandBudget::open`], but if the broker cannot be used, warns and allows the few calls that find other faults.
    pub async fn open_to_check(config: &Config, program: &str) -> Self {
        Self::open(config, program).await.unwrap_or_else(|failure| {
            output::warning(&format!(
                "{failure}; the few calls of this check are made without a share of the request budget, and without knowing \
                 whether Bynder's block silences the fleet"
            ));
            Self::with_fraction(config)
        })
    }

    /// The whole budget, for a command that has locked the state directory, so that no `sync` runs.
    pub fn in_place_of_sync(config: &Config) -> Self {
        let budget = crate::whole_budget(config);
        let keeping = vec![quiet_hours::keep(config, &budget), follow_records(&budget)];
        Self { budget, keeping, group: None }
    }

    fn with_fraction(config: &Config) -> Self {
        let fraction = quiet_hours::requests(config, Timestamp::now()).get() / FRACTION;
        let records = Records::new(&config.producer.state_dir);
        let budget = Budget::alone(NonZeroU32::new(fraction).unwrap_or(NonZeroU32::MIN), Some(records));
        let keeping = vec![follow_records(&budget)];
        Self { budget, keeping, group: None }
    }

    /// Leaves the group at once; without this, the other members notice after a while.
    pub async fn leave(mut self) {
        self.keeping.clear();
        if let Some(group) = self.group {
            group.leave(&self.budget).await;
        }
    }
}

/// The group on the broker; `None` if its queues are not declared, because then no fleet runs; this check declares nothing. Fails
/// if the queues are on a node that is down: a call would wait for it.
async fn group(config: &Config, program: &str) -> Result<Option<EgressGroup>, Failure> {
    let settings = crate::broker(config, program)?;
    let inventory = Inventory::take(&settings).await?;
    if let Some(text) = inventory.without_home() {
        return Err(Failure::Temporary(text));
    }
    if !inventory.missing.is_empty() {
        return Ok(None);
    }
    Ok(Some(Broker::open(&settings, PATIENCE).await?.egress_group()))
}

fn follow_records(budget: &Budget) -> AbortOnDropHandle<()> {
    let budget = budget.clone();
    AbortOnDropHandle::new(tasks::lasting(async move { budget.follow_records().await }))
}
