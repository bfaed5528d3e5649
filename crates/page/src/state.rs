//! What the page shows: the record in the state directory, and the running connector while there is one.

use std::sync::{Arc, Mutex, PoisonError};

use budget::Budget;
use common::failure::Failure;
use config::Config;
use ledger::Ledger;
use ledger::state::State;
use queue::{FailedJobs, JobPublisher};
use telemetry::Readiness;
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::link::Portal;
use crate::pause::PauseSwitch;
use crate::picture::Pictures;

/// The running connector, which can be acted on.
#[derive(Clone)]
pub struct Live {
    /// The ledger that the connector itself writes.
    pub ledger: Ledger,
    pub failed: Arc<dyn FailedJobs>,
    pub jobs: Arc<dyn JobPublisher>,
    pub pause: Arc<dyn PauseSwitch>,
    pub budget: Budget,
    pub pictures: Arc<dyn Pictures>,
}

/// The record, to read.
#[derive(Debug, Clone)]
pub struct Record {
    pub state: State,
    pub ledger: Ledger,
}

/// The state of the page; clones share it.
#[derive(Clone)]
pub struct PageState {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    portal: Portal,
    readiness: Readiness,
    record: AsyncMutex<Option<Record>>,
    /// With what is cancelled when the program lets go of it.
    live: Mutex<Option<(Live, CancellationToken)>>,
    /// Acts in the background.
    acts: TaskTracker,
}

impl PageState {
    /// # Errors
    /// The portal's address is not valid.
    pub fn new(config: &Config, readiness: Readiness) -> Result<Self, Failure> {
        let inner = Inner {
            config: config.clone(),
            portal: Portal::of(config)?,
            readiness,
            record: AsyncMutex::default(),
            live: Mutex::default(),
            acts: TaskTracker::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(crate) fn portal(&self) -> &Portal {
        &self.inner.portal
    }

    /// Why the connector cannot do its work, one line per reason.
    pub fn reasons(&self) -> Vec<String> {
        self.inner.readiness.reasons()
    }

    /// The record; `None` if there is none yet.
    ///
    /// # Errors
    /// It cannot be read, for example because its format is being converted.
    pub async fn record(&self) -> Result<Option<Record>, Failure> {
        let mut known = self.inner.record.lock().await;
        if known.is_none() {
            let directory = self.inner.config.producer.state_dir.clone();
            let opening = tokio::task::spawn_blocking(move || State::open_to_read(&directory));
            let opened = opening.await.map_err(|error| Failure::Unexpected(error.to_string()))??;
            *known = opened.map(|state| Record { ledger: Ledger::new(state.clone()), state });
        }
        Ok(known.clone())
    }

    /// The running connector; `None` while it is not connected.
    pub fn live(&self) -> Option<Live> {
        self.live_until().map(|(live, _)| live)
    }

    /// The running connector, and what is cancelled when the program lets go of it.
    pub(crate) fn live_until(&self) -> Option<(Live, CancellationToken)> {
        self.inner.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does this in the background; [`Attached::end`] waits for it.
    pub(crate) fn in_background(&self, act: impl Future<Output = ()> + Send + 'static) {
        tasks::brief(self.inner.acts.track_future(act));
    }

    /// Makes the running connector known until the guard is dropped.
    pub fn attach(&self, live: Live) -> Attached {
        let end = CancellationToken::new();
        *self.inner.live.lock().unwrap_or_else(PoisonError::into_inner) = Some((live, end.clone()));
        Attached { state: self.clone(), end }
    }
}

/// For how long the running connector is known to the page.
pub struct Attached {
    state: PageState,
    end: CancellationToken,
}

impl Attached {
    /// Ends the act under way, and returns once it is on record how far it got.
    pub async fn end(self) {
        let acts = self.state.inner.acts.clone();
        drop(self);
        acts.close();
        acts.wait().await;
        acts.reopen();
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        *self.state.inner.live.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.end.cancel();
    }
}
