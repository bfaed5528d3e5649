//! Where the portal calls of a process wait until its member lets them go.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};

use super::beat::Beat;
use super::member::{Admission, Member};
use super::record::{OperatorPause, Records};
use super::timing::Timing;
use crate::boot_clock;
use crate::bynder::{Gate, Paused};
use crate::job::{Lane, current_lane};

/// Calls of the fresh lane in a row while the backlog waits as well: four of five are reserved for it.
const FRESH_IN_A_ROW: u32 = 4;
/// How long the lane that has to let the other go first waits before it looks again.
const GIVE_WAY: Duration = Duration::from_millis(20);

/// The process's request budget; clones share it.
#[derive(Clone)]
pub struct Budget {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    member: Mutex<Member>,
    timing: Timing,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    /// Calls admitted lately, by second.
    lately: Mutex<VecDeque<(u64, u32)>>,
    waited: Mutex<Duration>,
    out: Mutex<Vec<String>>,
    changed: watch::Sender<()>,
    urgent: Notify,
    turns: [AsyncMutex<()>; 2],
    waiting: [AtomicU32; 2],
    fresh_in_a_row: AtomicU32,
    pub(super) operator: watch::Sender<Option<OperatorPause>>,
    pub(super) records: Option<Records>,
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Budget")
    }
}

/// What there is to show of a budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Calls in five minutes that this process may make now.
    pub share: f64,
    /// Calls that it made in the last five minutes.
    pub lately: u64,
    /// Calls that it made in all.
    pub calls: u64,
    /// How long calls waited in all.
    pub waited: Duration,
    /// How long Bynder's block still silences it.
    pub silence: Option<Duration>,
    /// Whether a person paused it.
    pub operator_pause: bool,
    /// Members of the egress group, this one included.
    pub members: usize,
}

/// Without a clock no time passes, so that no place comes in.
fn since_boot() -> Duration {
    boot_clock::since_boot().unwrap_or_default()
}

impl Budget {
    /// The whole budget for one process. With records, a silence outlives it.
    pub fn alone(requests: NonZeroU32, records: Option<Records>) -> Self {
        let now = since_boot();
        let mut member = Member::alone(new_id(), f64::from(requests.get()), Timing::real(), now);
        if let Some(left) = records.as_ref().and_then(Records::silence) {
            member.on_record(left, now);
        }
        let operator = records.as_ref().and_then(Records::operator_pause);
        Self::new(member, records, operator, Box::new(since_boot))
    }

    /// A share of a group's budget, for somebody who keeps it with [`Budget::announce`] and [`Budget::heard`].
    pub fn of_group(requests: NonZeroU32) -> Self {
        let member = Member::of_group(new_id(), f64::from(requests.get()), Timing::real(), since_boot());
        Self::new(member, None, None, Box::new(since_boot))
    }

    pub(super) fn new(
        member: Member,
        records: Option<Records>,
        operator: Option<OperatorPause>,
        clock: Box<dyn Fn() -> Duration + Send + Sync>,
    ) -> Self {
        let shared = Shared {
            member: Mutex::new(member),
            timing: Timing::real(),
            clock,
            lately: Mutex::default(),
            waited: Mutex::default(),
            out: Mutex::default(),
            changed: watch::Sender::new(()),
            urgent: Notify::new(),
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

    /// How long nothing may be sent, if that is so.
    pub fn paused(&self) -> Option<Duration> {
        let now = self.now();
        self.member().paused(now)
    }

    /// Another budget for the whole group from now on.
    pub fn set_requests(&self, requests: NonZeroU32) {
        self.member().set_requests(f64::from(requests.get()));
    }

    /// What there is to show.
    pub fn figures(&self) -> Figures {
        let now = self.now();
        let oldest = now.saturating_sub(self.shared.timing.window).as_secs();
        let lately = lock(&self.shared.lately);
        let lately =
            lately.iter().filter(|(second, _)| *second > oldest).map(|(_, calls)| u64::from(*calls)).sum();
        let mut member = self.member();
        Figures {
            share: member.rate(now) * self.shared.timing.window.as_secs_f64(),
            lately,
            calls: member.used(),
            waited: *lock(&self.shared.waited),
            silence: member.paused(now),
            operator_pause: self.shared.operator.borrow().is_some(),
            members: member.members(),
        }
    }

    /// How often to announce this member, urgent news aside.
    pub fn beat(&self) -> Duration {
        self.shared.timing.beat
    }

    /// The next announcement.
    pub fn announce(&self) -> Beat {
        let now = self.now();
        Beat { out: lock(&self.shared.out).clone(), ..self.member().announce(now) }
    }

    /// Services that this process cannot use right now, for whoever looks at the group.
    pub fn set_out(&self, services: Vec<String>) {
        *lock(&self.shared.out) = services;
    }

    /// Resolves when there is something to announce before the next beat. Cancel-safe.
    pub async fn urgent(&self) {
        loop {
            let notified = self.shared.urgent.notified();
            if self.member().is_urgent() {
                return;
            }
            notified.await;
        }
    }

    /// Takes in an announcement, this member's own included.
    pub fn heard(&self, beat: &Beat) {
        let now = self.now();
        self.member().heard(beat, now);
        self.stir();
    }

    /// Whether the group's record of a silence has to be looked at.
    pub fn depends_on_record(&self) -> bool {
        self.member().depends_on_record()
    }

    /// The group's record has to be looked at before the next call: the broker was away.
    pub fn reconnects(&self) {
        self.member().reconnects();
    }

    /// What the group's record says: whether there is a silence.
    pub fn informed(&self, silence: bool) {
        let now = self.now();
        let mut member = self.member();
        if silence {
            // It is looked at again within this time.
            member.on_record(self.shared.timing.contact, now);
        }
        member.informed();
        drop(member);
        self.stir();
    }

    async fn turn(&self, lane: Lane, places: u32) -> Result<u32, Paused> {
        let mine = lane as usize;
        let _waiting = Waiting::new(&self.shared.waiting[mine]);
        let _turn = self.shared.turns[mine].lock().await;
        let mut changed = self.shared.changed.subscribe();
        loop {
            if self.gives_way(lane) {
                tokio::time::sleep(GIVE_WAY).await;
                continue;
            }
            let now = self.now();
            let admission = self.member().admit(places, now);
            match admission {
                Admission::Go(places) => {
                    self.count(lane, places, now);
                    return Ok(places);
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
        let waits = |lane: Lane| self.shared.waiting[lane as usize].load(Ordering::Relaxed) > 0;
        let fresh_had_its_part = self.shared.fresh_in_a_row.load(Ordering::Relaxed) >= FRESH_IN_A_ROW;
        match lane {
            Lane::Fresh => fresh_had_its_part && waits(Lane::Backlog),
            Lane::Backlog => !fresh_had_its_part && waits(Lane::Fresh),
        }
    }

    fn count(&self, lane: Lane, places: u32, now: Duration) {
        match lane {
            Lane::Fresh => self.shared.fresh_in_a_row.fetch_add(places, Ordering::Relaxed),
            Lane::Backlog => self.shared.fresh_in_a_row.swap(0, Ordering::Relaxed),
        };
        let second = now.as_secs();
        let oldest = now.saturating_sub(self.shared.timing.window).as_secs();
        let mut lately = lock(&self.shared.lately);
        match lately.back_mut() {
            Some((last, calls)) if *last == second => *calls += places,
            _ => lately.push_back((second, places)),
        }
        while lately.front().is_some_and(|(first, _)| *first <= oldest) {
            lately.pop_front();
        }
        drop(lately);
        // A canary has to be told of.
        self.stir();
    }

    fn stir(&self) {
        if self.member().is_urgent() {
            self.shared.urgent.notify_waiters();
        }
    }

    fn record(&self) {
        let remaining = self.paused().unwrap_or_default();
        if let Some(Err(error)) =
            self.shared.records.as_ref().map(|records| records.record_silence(remaining))
        {
            tracing::error!(%error, "Bynder's block cannot be put on record; do not start again before it is over");
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
    async fn admit(&self, places: u32) -> Result<u32, Paused> {
        self.check()?;
        let asked = self.now();
        let turn = tokio::time::timeout(self.shared.timing.patience, self.turn(current_lane(), places)).await;
        *lock(&self.shared.waited) += self.now().saturating_sub(asked);
        // Too many wait, or the broker is away: the job gives its place to others and comes back.
        turn.unwrap_or(Err(Paused { remaining: self.shared.timing.beat }))
    }

    fn check(&self) -> Result<(), Paused> {
        self.paused().map_or(Ok(()), |remaining| Err(Paused { remaining }))
    }

    fn unused(&self, places: u32) {
        self.member().unused(places);
    }

    fn refused(&self) {
        let now = self.now();
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
        self.stir();
    }

    fn answered(&self) {
        let now = self.now();
        let mut member = self.member();
        let was_silent = member.paused(now).is_some();
        member.answered(now);
        drop(member);
        if was_silent {
            self.record();
        }
        self.stir();
    }
}

/// One that waits, for as long as it does.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn new_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
