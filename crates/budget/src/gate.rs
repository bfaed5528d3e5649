//! Where the portal calls of a process wait until its member admits them.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, watch};

use super::member::{Admission, Member};
use super::record::{OperatorPause, Records};
use super::timing::Timing;
use bynder::{Gate, Paused};
use common::boot_clock;
use common::job::Lane;

/// Consecutive calls of the fresh lane while the backlog waits too: the fresh lane gets four of five.
const FRESH_IN_A_ROW: u32 = 4;
/// How often a lane that lets the other go first checks whether it may proceed.
const GIVE_WAY: Duration = Duration::from_millis(20);

/// The process's request budget; clones share it.
#[derive(Clone)]
pub struct Budget {
    pub(super) shared: Arc<ProcessBudget>,
}

pub(super) struct ProcessBudget {
    member: Mutex<Member>,
    pub(super) timing: Timing,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    /// Calls admitted in the last window, by second since boot.
    lately: Mutex<VecDeque<(u64, u32)>>,
    waited: Mutex<Duration>,
    pub(super) out: Mutex<Vec<String>>,
    pub(super) id: String,
    /// The other members of the group, and when each last announced itself.
    pub(super) others: Mutex<HashMap<String, Duration>>,
    /// Signals that waiting calls should ask the member again.
    pub(super) changed: watch::Sender<()>,
    /// One lock per lane, so that the calls of a lane proceed in order.
    turns: [AsyncMutex<()>; 2],
    /// Number of waiting calls, by lane.
    pub(super) waiting: [AtomicU32; 2],
    pub(super) demand: watch::Sender<Demand>,
    /// Signals that the member has something for the group's record.
    pub(super) news: watch::Sender<()>,
    fresh_in_a_row: AtomicU32,
    pub(super) operator: watch::Sender<Option<OperatorPause>>,
    pub(super) records: Option<Records>,
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Budget")
    }
}

/// Which calls wait for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Demand {
    /// None.
    #[default]
    Nothing,
    /// Calls of the backlog only.
    Backlog,
    /// At least one call of the fresh lane.
    Fresh,
}

/// A snapshot of the budget, for display.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// An equal share of the group's budget, in calls per five minutes; zero during a silence.
    pub share: f64,
    /// Calls admitted in the last five minutes.
    pub lately: u64,
    /// Calls admitted since the start.
    pub calls: u64,
    /// Total time that calls have waited.
    pub waited: Duration,
    /// The time left of the silence after a 429.
    pub silence: Option<Duration>,
    /// Whether a person paused the work.
    pub operator_pause: bool,
    /// Members of the egress group, this one included.
    pub members: usize,
}

/// If the clock cannot be read, time does not pass: tokens do not accrue, so this errs towards fewer calls.
fn since_boot() -> Duration {
    boot_clock::since_boot().unwrap_or_default()
}

impl Budget {
    /// The whole budget for one process. With records, a silence survives a restart.
    pub fn alone(requests: NonZeroU32, records: Option<Records>) -> Self {
        let now = since_boot();
        let mut member = Member::alone(requests.get(), Timing::real(), now);
        if let Some(left) = records.as_ref().and_then(Records::silence) {
            member.on_record(left, now);
        }
        let operator = records.as_ref().and_then(Records::operator_pause);
        Self::new(member, records, operator, Box::new(since_boot))
    }

    /// A group's budget: each call needs a token from [`Budget::grant`].
    pub fn of_group(requests: NonZeroU32) -> Self {
        let member = Member::of_group(requests.get(), Timing::real());
        Self::new(member, None, None, Box::new(since_boot))
    }

    pub(super) fn new(
        member: Member,
        records: Option<Records>,
        operator: Option<OperatorPause>,
        clock: Box<dyn Fn() -> Duration + Send + Sync>,
    ) -> Self {
        let shared = ProcessBudget {
            member: Mutex::new(member),
            timing: Timing::real(),
            clock,
            lately: Mutex::default(),
            waited: Mutex::default(),
            out: Mutex::default(),
            id: uuid::Uuid::now_v7().simple().to_string(),
            others: Mutex::default(),
            changed: watch::Sender::new(()),
            demand: watch::Sender::default(),
            news: watch::Sender::default(),
            turns: [AsyncMutex::default(), AsyncMutex::default()],
            waiting: [AtomicU32::new(0), AtomicU32::new(0)],
            fresh_in_a_row: AtomicU32::new(0),
            operator: watch::Sender::new(operator),
            records,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Portal calls admitted so far.
    pub fn used(&self) -> u64 {
        self.member().used()
    }

    /// The time left of a silence, if there is one.
    pub fn paused(&self) -> Option<Duration> {
        let now = self.now();
        self.member().paused(now)
    }

    /// Sets the budget of the whole group, in portal calls per five minutes.
    pub fn set_requests(&self, requests: NonZeroU32) {
        self.member().set_requests(requests.get());
    }

    /// The number of portal calls of this process's backlog that wait.
    pub fn backlog_waiting(&self) -> u32 {
        self.shared.waiting[Lane::Backlog as usize].load(Ordering::Relaxed)
    }

    /// The group's budget, in portal calls per five minutes.
    pub fn requests(&self) -> u32 {
        self.member().requests()
    }

    pub fn figures(&self) -> Figures {
        let now = self.now();
        let members = self.others(now).len() + 1;
        let lately = self.calls_in_window(now);
        let mut member = self.member();
        let silence = member.paused(now);
        let rate = if silence.is_some() { 0.0 } else { member.rate(now) };
        Figures {
            share: rate * self.shared.timing.window.as_secs_f64() / members as f64,
            lately,
            calls: member.used(),
            waited: *lock(&self.shared.waited),
            silence,
            operator_pause: self.shared.operator.borrow().is_some(),
            members,
        }
    }

    pub(super) fn calls_in_window(&self, now: Duration) -> u64 {
        let oldest = now.saturating_sub(self.shared.timing.window).as_secs();
        let lately = lock(&self.shared.lately);
        lately.iter().filter(|(second, _)| *second > oldest).map(|(_, calls)| u64::from(*calls)).sum()
    }

    async fn turn(&self, lane: Lane, calls: u32) -> Result<u32, Paused> {
        let mine = lane as usize;
        let _waiting = Waiting::new(self, lane, calls);
        let _turn = self.shared.turns[mine].lock().await;
        let mut changed = self.shared.changed.subscribe();
        loop {
            if self.gives_way(lane) {
                tokio::time::sleep(GIVE_WAY).await;
                continue;
            }
            let now = self.now();
            let admission = self.member().admit(calls, now);
            match admission {
                Admission::Go(calls) => {
                    self.count(lane, calls, now);
                    return Ok(calls);
                }
                Admission::Paused(remaining) => return Err(Paused { remaining }),
                Admission::Wait(wait) => {
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        _ = changed.changed() => {}
                    }
                }
            }
        }
    }

    fn gives_way(&self, lane: Lane) -> bool {
        // Relaxed and unlocked: a stale count lets the wrong lane go first once. The limit is kept by `Member::admit`.
        let waits = |lane: Lane| self.shared.waiting[lane as usize].load(Ordering::Relaxed) > 0;
        let fresh_had_its_part = self.shared.fresh_in_a_row.load(Ordering::Relaxed) >= FRESH_IN_A_ROW;
        match lane {
            Lane::Fresh => fresh_had_its_part && waits(Lane::Backlog),
            Lane::Backlog => !fresh_had_its_part && waits(Lane::Fresh),
        }
    }

    fn count(&self, lane: Lane, calls: u32, now: Duration) {
        match lane {
            Lane::Fresh => self.shared.fresh_in_a_row.fetch_add(calls, Ordering::Relaxed),
            Lane::Backlog => self.shared.fresh_in_a_row.swap(0, Ordering::Relaxed),
        };
        let second = now.as_secs();
        let oldest = now.saturating_sub(self.shared.timing.window).as_secs();
        let mut lately = lock(&self.shared.lately);
        match lately.back_mut() {
            Some((last, made)) if *last == second => *made += calls,
            _ => lately.push_back((second, calls)),
        }
        while lately.front().is_some_and(|(first, _)| *first <= oldest) {
            lately.pop_front();
        }
    }

    fn announce_news(&self) {
        if self.member().has_news() {
            self.shared.news.send_replace(());
        }
    }

    fn demands(&self, is_new: bool) {
        let waits = |lane: Lane| self.shared.waiting[lane as usize].load(Ordering::Relaxed) > 0;
        let demand = match (waits(Lane::Fresh), waits(Lane::Backlog)) {
            (true, _) => Demand::Fresh,
            (false, true) => Demand::Backlog,
            (false, false) => Demand::Nothing,
        };
        self.shared.demand.send_if_modified(|known| std::mem::replace(known, demand) != demand || is_new);
    }

    fn record(&self) {
        let remaining = self.paused().unwrap_or_default();
        if let Some(Err(error)) =
            self.shared.records.as_ref().map(|records| records.record_silence(remaining))
        {
            tracing::error!(%error, "Bynder's block cannot be recorded; do not start again before it is over");
        }
    }

    pub(super) fn now(&self) -> Duration {
        (self.shared.clock)()
    }

    pub(super) fn member(&self) -> MutexGuard<'_, Member> {
        lock(&self.shared.member)
    }
}

#[async_trait]
impl Gate for Budget {
    async fn admit(&self, lane: Lane, calls: u32) -> Result<u32, Paused> {
        self.check()?;
        let asked = self.now();
        let turn = tokio::time::timeout(self.shared.timing.patience, self.turn(lane, calls)).await;
        *lock(&self.shared.waited) += self.now().saturating_sub(asked);
        // Too many calls wait, or the broker is unreachable: the job frees its permit and is retried.
        turn.unwrap_or(Err(Paused { remaining: self.shared.timing.beat }))
    }

    fn check(&self) -> Result<(), Paused> {
        self.paused().map_or(Ok(()), |remaining| Err(Paused { remaining }))
    }

    fn refund(&self, calls: u32) {
        self.member().refund(calls);
    }

    fn interval(&self) -> Duration {
        self.shared.timing.window / self.requests().max(1)
    }

    fn refused(&self) {
        let now = self.now();
        // Two refusals at once may both find no silence; the message is then logged twice.
        let was_silent = self.paused().is_some();
        self.member().refused(now);
        self.record();
        if !was_silent {
            tracing::error!(
                seconds = self.shared.timing.pause.as_secs(),
                "Bynder's request limit was reached; nothing is sent for a while. Lower bynder.requests_per_5_minutes \
                 if other software shares this machine's address"
            );
        }
        self.shared.changed.send_replace(());
        self.announce_news();
    }

    fn answered(&self) {
        let now = self.now();
        let mut member = self.member();
        let was_silent = member.paused(now).is_some();
        member.answered(now);
        // `record` and `announce_news` lock the member again.
        drop(member);
        if was_silent {
            self.record();
        }
        self.announce_news();
    }
}

/// Counts calls as waiting until it is dropped.
struct Waiting<'a> {
    budget: &'a Budget,
    lane: Lane,
    calls: u32,
}

impl<'a> Waiting<'a> {
    fn new(budget: &'a Budget, lane: Lane, calls: u32) -> Self {
        budget.shared.waiting[lane as usize].fetch_add(calls, Ordering::Relaxed);
        // Notified even if others wait already: an unspent token may serve this call.
        budget.demands(true);
        Self { budget, lane, calls }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.budget.shared.waiting[self.lane as usize].fetch_sub(self.calls, Ordering::Relaxed);
        self.budget.demands(false);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
