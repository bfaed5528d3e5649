//! The budget of a command that a person runs beside a fleet, or beside a sync at work on the same machine.

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

/// What such a command keeps to where nobody counts it in: so many times less than the whole.
const PART: u32 = 10;
/// How long to wait for the broker before going on without.
const PATIENCE: Duration = Duration::from_secs(5);

/// A budget, kept as long as this is.
pub struct Beside {
    /// What lets the command's calls go.
    pub budget: Budget,
    keeping: Vec<AbortOnDropHandle<()>>,
    group: Option<EgressGroup>,
}

impl Beside {
    /// A member of the egress group where there is a broker, so that the command's calls are counted in and it knows of a
    /// silence. Without one: a small part of the whole, which keeps to the silences on record in the state directory.
    ///
    /// # Errors
    /// The broker cannot be used: without it no call may be made.
    pub async fn open(config: &Config, program: &str) -> Result<Self, Failure> {
        if config.broker.is_none() {
            return Ok(Self::with_a_part(config));
        }
        let Some(group) = group(config, program).await? else { return Ok(Self::with_a_part(config)) };
        let budget = Budget::of_group(config.bynder.requests_per_5_minutes);
        let keeping = vec![quiet_hours::keep(config, &budget), group.join(&budget)];
        Ok(Self { budget, keeping, group: Some(group) })
    }

    /// The same; where the broker cannot be used, the few calls that show what else is wrong are made all the same, which is
    /// said.
    pub async fn open_to_check(config: &Config, program: &str) -> Self {
        Self::open(config, program).await.unwrap_or_else(|failure| {
            output::warning(&format!(
                "{failure}; the few calls of this check are made without a share of the request budget, and without knowing \
                 whether Bynder's block silences the fleet"
            ));
            Self::with_a_part(config)
        })
    }

    /// The whole budget, for a command that holds the state directory, so that no sync is at work beside it.
    pub fn in_place_of_sync(config: &Config) -> Self {
        let budget = crate::whole_budget(config);
        let keeping = vec![quiet_hours::keep(config, &budget), follow_records(&budget)];
        Self { budget, keeping, group: None }
    }

    fn with_a_part(config: &Config) -> Self {
        let part = quiet_hours::requests(config, Timestamp::now()).get() / PART;
        let records = Records::new(&config.producer.state_dir);
        let budget = Budget::alone(NonZeroU32::new(part).unwrap_or(NonZeroU32::MIN), Some(records));
        let keeping = vec![follow_records(&budget)];
        Self { budget, keeping, group: None }
    }

    /// Gives the command's share back at once; without this the others find out by themselves.
    pub async fn leave(mut self) {
        self.keeping.clear();
        if let Some(group) = self.group {
            group.leave(&self.budget).await;
        }
    }
}

/// The group on the broker; `None` where nothing is declared yet, since then nobody is at work, and looking declares nothing. Fails
/// where there are no tokens as long as a node is away: the call would wait for it.
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
