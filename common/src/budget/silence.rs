//! The silence after a 429: Bynder answers nothing until five minutes pass without a request from the address.

use std::time::Duration;

use super::beat::{Beat, PauseNote};
use super::timing::Timing;

/// The silence that was found on record by a member that came later; its id is not known.
const ON_RECORD: &str = "on-record";
/// The part of its share that a member uses at first after a silence.
const RAMP: f64 = 0.25;

#[derive(Debug, Clone, PartialEq)]
enum State {
    Open,
    Silent {
        id: String,
        until: Duration,
    },
    /// The silence is over; one call finds out whether the block is.
    Trying {
        id: String,
        own: Option<Duration>,
        other: Option<Duration>,
    },
}

/// One member's part in its group's silence.
#[derive(Debug)]
pub(super) struct Silence {
    member: String,
    timing: Timing,
    state: State,
    count: u32,
    cleared: Option<String>,
    ramp_until: Duration,
}

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// Go on.
    Open,
    /// Go on alone.
    Canary,
    /// Not before this time has passed.
    Closed(Duration),
}

impl Silence {
    pub(super) fn new(member: String, timing: Timing) -> Self {
        Self { member, timing, state: State::Open, count: 0, cleared: None, ramp_until: Duration::ZERO }
    }

    /// The portal refused a call.
    pub(super) fn refused(&mut self, now: Duration) {
        self.begin(now + self.timing.pause);
    }

    /// The portal answered something else. Returns whether that ended the silence.
    pub(super) fn answered(&mut self, now: Duration) -> bool {
        match &self.state {
            State::Open | State::Trying { own: None, .. } => false,
            // A request that was under way is one that the block counts.
            State::Silent { .. } => {
                self.refused(now);
                false
            }
            State::Trying { id, own: Some(_), .. } => {
                let id = id.clone();
                self.end(Some(id), now);
                true
            }
        }
    }

    fn begin(&mut self, until: Duration) {
        self.count += 1;
        self.state = State::Silent { id: format!("{}-{}", self.member, self.count), until };
    }

    fn end(&mut self, id: Option<String>, now: Duration) {
        self.state = State::Open;
        self.cleared = id;
        self.ramp_until = now + self.timing.ramp;
    }

    /// There is a silence on record: it lasts at least this long.
    pub(super) fn on_record(&mut self, remaining: Duration, now: Duration) {
        let until = now + remaining;
        match &mut self.state {
            State::Silent { id, until: known } if id == ON_RECORD => *known = until,
            // Its own call is under way, and will tell.
            State::Silent { .. } | State::Trying { own: Some(_), .. } => {}
            State::Open | State::Trying { own: None, .. } => {
                self.state = State::Silent { id: ON_RECORD.to_owned(), until };
            }
        }
    }

    /// Whether it is known only from the record, which has to be looked at again.
    pub(super) fn is_on_record(&self) -> bool {
        matches!(&self.state, State::Silent { id, .. } if id == ON_RECORD)
    }

    /// Takes in what another member says.
    pub(super) fn heard(&mut self, beat: &Beat, now: Duration) {
        if let Some(note) = &beat.pause {
            self.noted(note, now);
        }
        match &mut self.state {
            // One known from the record alone has no id to be told by: it ends when the record does, and a call.
            State::Silent { id, .. } | State::Trying { id, .. } if beat.cleared.as_ref() == Some(id) => {
                let id = beat.cleared.clone();
                self.end(id, now);
            }
            State::Trying { other, .. } if beat.trying => *other = Some(now),
            State::Open | State::Silent { .. } | State::Trying { .. } => {}
        }
    }

    fn noted(&mut self, note: &PauseNote, now: Duration) {
        // Nobody keeps a longer silence than this; a longer one is a mistake or somebody's malice.
        let until = now + Duration::from_millis(note.remaining_ms).min(self.timing.pause);
        if self.cleared.as_ref() == Some(&note.id) {
            return;
        }
        match &mut self.state {
            // Told again, the same silence only seems later by the way that the words took.
            State::Silent { id, until: known } if *id == note.id => *known = until.min(*known),
            State::Silent { id, until: known } if *known >= until && id != ON_RECORD => {}
            State::Trying { id, .. } if *id == note.id => {}
            State::Open | State::Silent { .. } | State::Trying { .. } => {
                self.state = State::Silent { id: note.id.clone(), until };
            }
        }
    }

    /// Whether a call may go; one that may go alone counts as gone.
    pub(super) fn leave(&mut self, now: Duration) -> Leave {
        self.pass(now);
        let patience = self.timing.canary;
        match &mut self.state {
            State::Open => Leave::Open,
            State::Silent { until, .. } => Leave::Closed(until.saturating_sub(now)),
            State::Trying { own, other, .. } => {
                let latest = (*own).max(*other);
                if latest.is_some_and(|since| now.saturating_sub(since) < patience) {
                    return Leave::Closed(self.timing.beat);
                }
                *own = Some(now);
                Leave::Canary
            }
        }
    }

    /// Whether there is no silence, nor one whose end is not certain yet.
    pub(super) fn is_open(&mut self, now: Duration) -> bool {
        self.pass(now);
        self.state == State::Open
    }

    /// How long the silence lasts, if there is one.
    pub(super) fn remaining(&mut self, now: Duration) -> Option<Duration> {
        self.pass(now);
        match &self.state {
            State::Silent { until, .. } => Some(until.saturating_sub(now)),
            State::Open | State::Trying { .. } => None,
        }
    }

    /// The part of its share that a member may use now.
    pub(super) fn part(&self, now: Duration) -> f64 {
        if now < self.ramp_until { RAMP } else { 1.0 }
    }

    /// What there is to tell the others.
    pub(super) fn announce(&mut self, now: Duration, beat: &mut Beat) {
        self.pass(now);
        beat.cleared.clone_from(&self.cleared);
        match &self.state {
            State::Silent { id, until } if id != ON_RECORD => {
                let remaining_ms = u64::try_from(until.saturating_sub(now).as_millis()).unwrap_or(u64::MAX);
                beat.pause = Some(PauseNote { id: id.clone(), remaining_ms });
            }
            // An unanswered one is given up by everybody at the same time, or each would wait for another for ever.
            State::Trying { own, .. } => {
                beat.trying = own.is_some_and(|since| now.saturating_sub(since) < self.timing.canary);
            }
            State::Open | State::Silent { .. } => {}
        }
    }

    fn pass(&mut self, now: Duration) {
        if let State::Silent { id, until } = &self.state
            && *until <= now
        {
            self.state = State::Trying { id: id.clone(), own: None, other: None };
        }
    }
}
