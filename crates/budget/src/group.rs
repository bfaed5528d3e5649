//! A process's part in its egress group: what it announces and hears, and the tokens and records of the group.

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
    /// The members heard of lately, this one aside.
    pub(super) fn others(&self, now: Duration) -> MutexGuard<'_, HashMap<String, Duration>> {
        let forget = self.shared.timing.forget;
        let mut others = lock(&self.shared.others);
        others.retain(|_, heard| now.saturating_sub(*heard) < forget);
        others
    }

    /// How often to announce this member.
    pub fn beat(&self) -> Duration {
        self.shared.timing.beat
    }

    /// The next announcement.
    pub fn announce(&self) -> Beat {
        Beat {
            v: VERSION,
            member: self.shared.id.clone(),
            used: self.lately(self.now()),
            leaving: false,
            program: String::new(),
            deployment: String::new(),
            out: lock(&self.shared.out).clone(),
            in_hand: None,
        }
    }

    /// Services that this process cannot use right now, for whoever looks at the group.
    pub fn set_out(&self, services: Vec<String>) {
        *lock(&self.shared.out) = services;
    }

    /// Takes in an announcement, this member's own included.
    pub fn heard(&self, beat: &Beat) {
        let now = self.now();
        let mut others = self.others(now);
        if beat.leaving {
            others.remove(&beat.member);
        } else if beat.member != self.shared.id && others.len() < MOST_MEMBERS {
            others.insert(beat.member.clone(), now);
        }
    }

    /// What waits for tokens, and whenever that changes.
    pub fn demand(&self) -> watch::Receiver<Demand> {
        self.shared.demand.subscribe()
    }

    /// Calls that wait and have no token.
    pub fn lacks(&self) -> u32 {
        let waiting: u32 = self.shared.waiting.iter().map(|waiting| waiting.load(Ordering::Relaxed)).sum();
        let now = self.now();
        waiting.saturating_sub(self.member().in_purse(now))
    }

    /// A token whose acknowledgement the broker has confirmed, after it showed no silence on record.
    pub fn grant(&self, token: Token) {
        let now = self.now();
        self.member().put(token, now);
        self.shared.changed.send_replace(());
    }

    /// What the group's record says: whether there is a silence.
    pub fn informed(&self, silence: bool) {
        let now = self.now();
        let mut member = self.member();
        if silence {
            // It is looked at again within this time.
            member.on_record(self.shared.timing.contact, now);
        } else {
            member.off_record(now);
        }
        drop(member);
        if silence {
            self.shared.changed.send_replace(());
        }
    }

    /// The next thing that the group's record lacks. Cancel-safe.
    pub async fn news(&self) -> News {
        let mut changed = self.shared.news.subscribe();
        loop {
            if let Some(news) = self.member().take_news() {
                return news;
            }
            let _ = changed.changed().await;
        }
    }

    /// What could not be put on the group's record.
    pub fn keep_news(&self, news: News) {
        self.member().keep_news(news);
    }

    /// How long a silence lasts on record.
    pub fn pause(&self) -> Duration {
        self.shared.timing.pause
    }
}
