//! What the processes of this deployment have in hand, from their announcements: the broker shows only messages that
//! are ready.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use budget::{Beat, MOST_MEMBERS, Timing};

/// The members of a deployment, as far as they have announced themselves.
#[derive(Debug)]
pub(super) struct DeploymentMembers {
    deployment: String,
    timing: Timing,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// Since when all announcements are received.
    listening: Option<Instant>,
    /// When the latest announcement arrived, perhaps this process's own.
    latest: Option<Instant>,
    members: HashMap<String, Member>,
}

#[derive(Debug)]
struct Member {
    at: Instant,
    in_hand: Option<u64>,
}

impl DeploymentMembers {
    pub(super) fn of(deployment: &str) -> Self {
        Self { deployment: deployment.to_owned(), timing: Timing::real(), heard: Mutex::default() }
    }

    /// Starts over: announcements are received from now on, and earlier ones may have been missed.
    pub(super) fn listens(&self) {
        *self.lock() = Heard { listening: Some(Instant::now()), ..Heard::default() };
    }

    /// Takes in an announcement of any egress group. One without a deployment is from an earlier release, which does
    /// not announce what it has in hand.
    pub(super) fn receive(&self, beat: &Beat) {
        if beat.deployment != self.deployment && !beat.deployment.is_empty() {
            return;
        }
        let mut heard = self.lock();
        heard.latest = Some(Instant::now());
        heard.members.retain(|_, member| member.at.elapsed() < self.timing.forget);
        if beat.leaving {
            heard.members.remove(&beat.member);
        } else if heard.members.len() < MOST_MEMBERS {
            let member = Member { at: Instant::now(), in_hand: beat.in_hand };
            heard.members.insert(beat.member.clone(), member);
        }
    }

    /// Deliveries in hand, of all members; `None` while that is unknown.
    pub(super) fn in_hand(&self) -> Option<u64> {
        let heard = self.lock();
        let since = heard.listening?;
        // A process that does not even receive its own announcements does not receive those of others either.
        let is_deaf = heard.latest?.elapsed() >= self.timing.contact;
        if is_deaf || since.elapsed() < self.timing.beat * 2 || heard.members.len() >= MOST_MEMBERS {
            return None;
        }
        let known = heard.members.values().filter(|member| member.at.elapsed() < self.timing.forget);
        let hands = known.map(|member| member.in_hand.filter(|_| member.at.elapsed() < self.timing.contact));
        hands.sum()
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn beat(member: &str, in_hand: Option<u64>) -> Beat {
        let text = format!(r#"{{"v":1,"member":"{member}","deployment":"here"}}"#);
        Beat { in_hand, ..serde_json::from_str(&text).unwrap() }
    }

    #[tokio::test(start_paused = true)]
    async fn hands_are_known_once_every_member_must_have_announced_itself_and_none_is_silent() {
        let crew = DeploymentMembers::of("here");
        let pass = async |seconds| tokio::time::advance(Duration::from_secs(seconds)).await;
        assert_eq!(crew.in_hand(), None, "before anything was heard");
        crew.listens();
        crew.receive(&beat("one", Some(2)));
        assert_eq!(crew.in_hand(), None, "another may not have announced itself yet");
        pass(4).await;
        assert_eq!(crew.in_hand(), Some(2));
        crew.receive(&beat("two", Some(1)));
        crew.receive(&Beat { deployment: "elsewhere".to_owned(), ..beat("three", Some(5)) });
        assert_eq!(crew.in_hand(), Some(3));
        crew.receive(&Beat { deployment: String::new(), ..beat("old", None) });
        assert_eq!(crew.in_hand(), None, "a release that does not say");
        crew.receive(&Beat { leaving: true, ..beat("old", None) });
        crew.receive(&beat("two", Some(0)));
        assert_eq!(crew.in_hand(), Some(2));
        pass(5).await;
        crew.receive(&beat("two", Some(0)));
        assert_eq!(crew.in_hand(), None, "one is silent");
        pass(14).await;
        crew.receive(&beat("two", Some(0)));
        assert_eq!(crew.in_hand(), Some(0), "the broker has taken its deliveries back by now");
        pass(20).await;
        assert_eq!(crew.in_hand(), None, "all were forgotten, since nothing is heard any more");
        crew.receive(&beat("two", Some(0)));
        assert_eq!(crew.in_hand(), Some(0));
        crew.listens();
        assert_eq!(crew.in_hand(), None, "after a reconnect");
    }
}
