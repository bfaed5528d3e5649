//! Sessions of people who logged in, kept in memory: a restart ends them all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use subtle::ConstantTimeEq;

use super::tokens::{Hashed, hashed};

/// More are not kept: the one that was used least recently ends.
const MOST: usize = 64;
/// A session that nothing was asked with for this long ends.
pub(super) const IDLE: Duration = Duration::from_hours(1);
/// A session ends after this time, however much it is used.
pub(super) const LONGEST: Duration = Duration::from_hours(12);

/// A random text that nobody guesses: 256 bits.
fn unguessable() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    hex::encode(bytes)
}

/// A session, as what is behind the middleware sees it. It does not contain its id.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The name of the token that it began with.
    pub(crate) name: Arc<str>,
    /// The text that each form of this session has to contain.
    pub(crate) csrf: Arc<str>,
}

impl Session {
    /// Whether a form is one of this session's.
    pub(crate) fn is_form(&self, csrf: &str) -> bool {
        hashed(&self.csrf).ct_eq(&hashed(csrf)).into()
    }
}

#[derive(Debug)]
struct Kept {
    session: Session,
    begun: Instant,
    used: Instant,
}

impl Kept {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.used) >= IDLE || now.duration_since(self.begun) >= LONGEST
    }
}

/// The sessions, by the hashes of their ids: a look at the memory gives no id.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    kept: HashMap<Hashed, Kept>,
}

impl Sessions {
    /// Begins a session; returns its id.
    pub(super) fn begin(&mut self, name: Arc<str>, now: Instant) -> String {
        self.kept.retain(|_, kept| !kept.is_over(now));
        if self.kept.len() >= MOST
            && let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(id, _)| *id)
        {
            self.kept.remove(&oldest);
        }
        let id = unguessable();
        let session = Session { name, csrf: unguessable().into() };
        self.kept.insert(hashed(&id), Kept { session, begun: now, used: now });
        id
    }

    /// The session with this id, which counts as used now.
    pub(super) fn find(&mut self, id: &str, now: Instant) -> Option<Session> {
        let kept = self.kept.get_mut(&hashed(id)).filter(|kept| !kept.is_over(now))?;
        kept.used = now;
        Some(kept.session.clone())
    }

    pub(super) fn end(&mut self, id: &str) {
        self.kept.remove(&hashed(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRIEFLY: Duration = Duration::from_secs(1);

    #[test]
    fn a_session_is_found_by_its_id_alone_until_it_ends() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let (ann, ben) = (sessions.begin("ann".into(), now), sessions.begin("ben".into(), now));
        assert_eq!((ann.len(), ann == ben), (64, false));
        assert_eq!(&*sessions.find(&ann, now).unwrap().name, "ann");
        assert_eq!(&*sessions.find(&ben, now).unwrap().name, "ben");
        assert!(sessions.find("", now).is_none());
        sessions.end(&ann);
        assert!(sessions.find(&ann, now).is_none());
        assert!(sessions.find(&ben, now).is_some());
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_after_a_time_even_if_it_is() {
        let (mut sessions, start) = (Sessions::default(), Instant::now());
        let idle = sessions.begin("ann".into(), start);
        assert!(sessions.find(&idle, start + IDLE - BRIEFLY).is_some());
        assert!(sessions.find(&idle, start + IDLE * 2 - BRIEFLY).is_none());
        let used = sessions.begin("ann".into(), start);
        let mut now = start;
        while now + IDLE / 2 < start + LONGEST {
            now += IDLE / 2;
            assert!(sessions.find(&used, now).is_some(), "{:?}", now.duration_since(start));
        }
        assert!(sessions.find(&used, start + LONGEST).is_none());
    }

    #[test]
    fn of_too_many_sessions_the_one_used_least_recently_ends() {
        let (mut sessions, start) = (Sessions::default(), Instant::now());
        let at = |second| start + BRIEFLY * second;
        let ids: Vec<_> = (0..).take(MOST).map(|second| sessions.begin("ann".into(), at(second))).collect();
        assert!(sessions.find(&ids[0], at(100)).is_some());
        let more = sessions.begin("ben".into(), at(101));
        assert_eq!(sessions.kept.len(), MOST);
        assert!(sessions.find(&ids[1], at(102)).is_none());
        assert!([&ids[0], &ids[2], &more].iter().all(|id| sessions.find(id, at(102)).is_some()));
    }

    #[test]
    fn a_form_belongs_to_one_session() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let [ann, ben] = ["ann", "ben"].map(|name| sessions.begin(name.into(), now));
        let [ann, ben] = [ann, ben].map(|id| sessions.find(&id, now).unwrap());
        assert!(ann.is_form(&ann.csrf) && ben.is_form(&ben.csrf));
        assert!(!ann.is_form(&ben.csrf) && !ann.is_form("") && !ann.is_form(&ann.csrf[1..]));
    }
}
