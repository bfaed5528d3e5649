//! A member's share of the egress group's budget.
//!
//! Each member announces what it wants and what it claims. Claims follow from everybody's wants by max-min, so members
//! that know the same agree without a leader. A lower claim holds at once. A higher one is used only after it came
//! back from the broker and the guard time passed: by then everybody in contact knows it, and who is not in contact
//! makes no call. So what is used is the lowest claim of the guard time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::beat::Beat;
use super::timing::Timing;

/// What a member may use before it has a share, as a part of the whole; the sum of it over newcomers comes out of
/// the distance between the configured budget and Bynder's limit.
const NEWCOMER: f64 = 0.01;
/// Announcements over which a member's want is measured.
const MEASURED: usize = 4;
/// How much more than it used lately a member wants that never had to wait.
const HEADROOM: f64 = 1.5;

/// An announcement of this member's, until it came back.
#[derive(Debug, Clone, Copy)]
struct Announced {
    number: u64,
    sent: Duration,
    claim: f64,
}

#[derive(Debug, Clone)]
struct Peer {
    claim: f64,
    want: f64,
    heard: Duration,
}

/// One member's view of the group, and what follows from it. Rates are calls a second.
#[derive(Debug)]
pub(super) struct Share {
    capacity: f64,
    timing: Timing,
    peers: BTreeMap<String, Peer>,
    /// Announcements that did not come back yet.
    under_way: VecDeque<Announced>,
    /// Claims that came back and when, oldest first: one from before the guard time, and all since.
    known: VecDeque<(Duration, f64)>,
    number: u64,
    /// When the latest announcement that came back was sent.
    contact: Option<Duration>,
    claim: f64,
    granted: f64,
    wants: Vec<f64>,
}

impl Share {
    /// A newcomer that knows nobody.
    pub(super) fn new(capacity: f64, timing: Timing) -> Self {
        Self {
            capacity,
            timing,
            peers: BTreeMap::new(),
            under_way: VecDeque::new(),
            known: VecDeque::new(),
            number: 0,
            contact: None,
            claim: 0.0,
            granted: capacity * NEWCOMER,
            wants: Vec::new(),
        }
    }

    /// The group's whole budget.
    pub(super) fn set_capacity(&mut self, capacity: f64) {
        self.capacity = capacity;
    }

    /// Calls a second that this member may make now; zero without contact.
    pub(super) fn rate(&mut self, now: Duration) -> f64 {
        if !self.in_contact(now) {
            return 0.0;
        }
        self.regard(now);
        self.granted
    }

    /// Whether an announcement of this member came back lately.
    pub(super) fn in_contact(&mut self, now: Duration) -> bool {
        if self.contact.is_some_and(|sent| now.saturating_sub(sent) < self.timing.contact) {
            return true;
        }
        // The others may have given its share away by now: back to the start.
        self.granted = self.capacity * NEWCOMER;
        self.claim = 0.0;
        self.known.clear();
        false
    }

    /// How many members are known, this one included.
    pub(super) fn members(&self) -> usize {
        self.peers.len() + 1
    }

    /// Notes what was used since the last announcement, and whether a call had to wait, and fills the next one in.
    pub(super) fn announce(&mut self, used: f64, waited: bool, now: Duration, beat: &mut Beat) {
        let floor = self.capacity * NEWCOMER;
        let want = if waited { self.capacity } else { (used * HEADROOM).max(floor) };
        self.wants.push(want.min(self.capacity));
        if self.wants.len() > MEASURED {
            self.wants.remove(0);
        }
        self.regard(now);
        self.number += 1;
        // What comes back later than this is no contact.
        self.under_way.retain(|announced| now.saturating_sub(announced.sent) < self.timing.contact);
        self.under_way.push_back(Announced { number: self.number, sent: now, claim: self.claim });
        beat.number = self.number;
        beat.claim = self.claim;
        beat.want = self.want();
    }

    /// An announcement of this member's came back.
    pub(super) fn returned(&mut self, number: u64, now: Duration) {
        while let Some(announced) = self.under_way.pop_front_if(|announced| announced.number <= number) {
            if announced.number == number {
                self.contact = self.contact.max(Some(announced.sent));
                self.known.push_back((now, announced.claim));
            }
        }
        self.regard(now);
    }

    /// Another member announced itself. Returns whether it is new.
    pub(super) fn heard(&mut self, beat: &Beat, now: Duration) -> bool {
        if beat.leaving {
            self.peers.remove(&beat.member);
            self.regard(now);
            return false;
        }
        let sane = |rate: f64| if rate.is_finite() { rate.clamp(0.0, self.capacity) } else { self.capacity };
        let peer = Peer { claim: sane(beat.claim), want: sane(beat.want), heard: now };
        let is_new = self.peers.insert(beat.member.clone(), peer).is_none();
        self.regard(now);
        is_new
    }

    /// The lowest claim since the latest one that everybody in contact has known for the guard time.
    fn known_for_long(&mut self, now: Duration) -> f64 {
        let guard = self.timing.guard;
        let settled = self.known.iter().rposition(|(at, _)| now.saturating_sub(*at) >= guard);
        let Some(settled) = settled else { return 0.0 };
        self.known.drain(..settled);
        let under_way = self.under_way.iter().map(|announced| announced.claim);
        self.known.iter().map(|(_, claim)| *claim).chain(under_way).fold(self.claim, f64::min)
    }

    fn want(&self) -> f64 {
        self.wants.iter().copied().fold(self.capacity * NEWCOMER, f64::max)
    }

    /// Draws the consequences of what is known.
    fn regard(&mut self, now: Duration) {
        let forget = self.timing.forget;
        self.peers.retain(|_, peer| now.saturating_sub(peer.heard) < forget);
        let floor = self.capacity * NEWCOMER;
        let wants: Vec<f64> = self.peers.values().map(|peer| peer.want.max(floor)).collect();
        let target = fair(self.capacity, self.want(), &wants);
        self.claim = target;
        let claims: Vec<f64> = self.peers.values().map(|peer| peer.claim).collect();
        let others: f64 = claims.iter().sum();
        if self.granted > self.claim {
            self.granted = self.claim.max(floor.min(self.granted));
        } else {
            let usable = self.known_for_long(now).min(self.capacity - others);
            self.granted = self.granted.max(usable);
        }
        if self.granted + others > self.capacity {
            self.granted = self.granted.min(fair(self.capacity, self.claim, &claims).max(floor));
        }
    }
}

/// One member's part of the whole by max-min: nobody gets more than it wants while another gets less than an equal
/// part; what is left over goes to all alike, so that who wants more tomorrow has some of it already.
pub(super) fn fair(capacity: f64, own: f64, others: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = others.to_vec();
    sorted.push(own);
    sorted.sort_by(f64::total_cmp);
    let (mut left, mut level) = (capacity, 0.0);
    let mut remaining = sorted.len();
    for want in sorted {
        let part = left / remaining as f64;
        if want >= part {
            level = part;
            left = 0.0;
            break;
        }
        left -= want;
        remaining -= 1;
        level = want;
    }
    let over = left / (others.len() + 1) as f64;
    own.min(level) + over
}
