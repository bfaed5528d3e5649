//! A process as a member of its egress group: announcements sent and received, and the group's tokens and record.

use std::collections::HashMap;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::beat::{Beat, MOST_MEMBERS, VERSION};
use super::gate::{Budget, Demand, lock};
use super::member::News;
use super::token::Token;

impl Budget {
    /// The members that announced themselves within [`Timing::forget`](super::Timing::forget), without this one.
    pub(super) fn others(&self, now: Duration) -> MutexGuard<'_, HashMap<String, Duration>> {
        let forget = self.shared.timing.forget;
        let mut others = lock(&self.shared.others);
        others.retain(|_, heard| now.saturating_sub(*heard) < forget);
        others
    }

    /// The interval between announcements.
    pub fn beat(&self) -> Duration {
        self.shared.timing.beat
    }

    /// The next announcement. The caller fills in program, deployment and deliveries.
    pub fn announce(&self) -> Beat {
        Beat {
            v: VERSION,
            member: self.shared.id.clone(),
            used: self.calls_in_window(self.now()),
            leaving: false,
            program: String::new(),
            deployment: String::new(),
            out: lock(&self.shared.out).clone(),
            in_hand: None,
        }
    }

    /// Sets the services to be announced as unusable.
    pub fn set_unavailable_services(&self, services: Vec<String>) {
        *lock(&self.shared.out) = services;
    }

    /// Handles an announcement; ignores this member's own.
    pub fn receive(&self, beat: &Beat) {
        let now = self.now();
        let mut others = self.others(now);
        if beat.leaving {
            others.remove(&beat.member);
        } else if beat.member != self.shared.id && others.len() < MOST_MEMBERS {
            others.insert(beat.member.clone(), now);
        }
    }

    /// A watch of which calls wait for tokens.
    pub fn demand(&self) -> watch::Receiver<Demand> {
        self.shared.demand.subscribe()
    }

    /// Number of waiting calls for which there is no token.
    pub fn lacks(&self) -> u32 {
        let waiting: u32 = self.shared.waiting.iter().map(|waiting| waiting.load(Ordering::Relaxed)).sum();
        let now = self.now();
        waiting.saturating_sub(self.member().in_purse(now))
    }

    /// Adds a token. The broker must have confirmed its acknowledgement and, after that, shown that no silence is recorded.
    pub fn grant(&self, token: Token) {
        let now = self.now();
        self.member().put(token, now);
        self.shared.changed.send_replace(());
    }

    /// Applies what the group's record says about a silence.
    pub fn informed(&self, silence: bool) {
        let now = self.now();
        let mut member = self.member();
        if silence {
            // The record is checked again within this time.
            member.on_record(self.shared.timing.contact, now);
        } else {
            member.off_record(now);
        }
        drop(member);
        if silence {
            self.shared.changed.send_replace(());
        }
    }

    /// Waits for the next change to put on the group's record. Cancel-safe.
    pub async fn news(&self) -> News {
        let mut changed = self.shared.news.subscribe();
        loop {
            if let Some(news) = self.member().take_news() {
                return news;
            }
            let _ = changed.changed().await;
        }
    }

    /// Returns a change that could not be recorded; a newer one takes precedence.
    pub fn keep_news(&self, news: News) {
        self.member().keep_news(news);
    }

    /// How long a silence lasts.
    pub fn pause(&self) -> Duration {
        self.shared.timing.pause
    }
}
