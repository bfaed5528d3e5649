//! How many wrong tokens are noted and logged: a bounded number from one address, and from all together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// This many wrong tokens in a row are answered as wrong; after them, one each [`PAUSE`], and the others as too many.
const AT_ONCE: u32 = 5;
const PAUSE: Duration = Duration::from_secs(10);
/// More addresses are not told apart.
const MOST: usize = 1024;
/// The bits of an IPv6 address that belong to one network: a single machine has all that follow.
const NETWORK: u32 = 64;

/// The wrong tokens of late.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    from: HashMap<IpAddr, Wrong>,
    others: Wrong,
}

/// When the last of the wrong tokens is forgiven.
#[derive(Debug, Clone, Copy, Default)]
struct Wrong(Option<Instant>);

impl Wrong {
    /// For how long another wrong token is one too many.
    fn wait(self, now: Instant) -> Option<Duration> {
        let owed = self.0?.saturating_duration_since(now);
        owed.checked_sub(PAUSE * (AT_ONCE - 1)).filter(|wait| !wait.is_zero())
    }

    fn again(&mut self, now: Instant) {
        self.0 = Some(self.0.map_or(now, |until| until.max(now)) + PAUSE);
    }
}

impl Attempts {
    /// How long a further wrong token from this address is too many; `None` if it is not.
    pub(super) fn wait(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        self.from.get(&network(from)).copied().unwrap_or(self.of_others_if_full()).wait(now)
    }

    /// Records a wrong token.
    pub(super) fn note_wrong(&mut self, from: IpAddr, now: Instant) {
        let from = network(from);
        self.from.retain(|_, wrong| wrong.0.is_some_and(|until| until > now));
        let is_known = self.from.contains_key(&from) || self.from.len() < MOST;
        let wrong = if is_known { self.from.entry(from).or_default() } else { &mut self.others };
        wrong.again(now);
    }

    fn of_others_if_full(&self) -> Wrong {
        if self.from.len() < MOST { Wrong::default() } else { self.others }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> NETWORK << NETWORK).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + number).into())
    }

    #[test]
    fn after_some_wrong_tokens_one_is_noted_each_pause() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..AT_ONCE {
            assert_eq!(attempts.wait(address(1), now), None);
            attempts.note_wrong(address(1), now);
        }
        assert_eq!(attempts.wait(address(1), now), Some(PAUSE));
        assert_eq!(attempts.wait(address(2), now), None, "another address");
        let later = now + PAUSE;
        assert_eq!(attempts.wait(address(1), later), None);
        attempts.note_wrong(address(1), later);
        assert_eq!(attempts.wait(address(1), later), Some(PAUSE));
        assert_eq!(attempts.wait(address(1), later + PAUSE * AT_ONCE), None);
    }

    #[test]
    fn the_addresses_of_one_network_are_one() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let host = |host: u128| IpAddr::V6(((0x2001_0db8_u128 << 96) + host).into());
        (0..u128::from(AT_ONCE)).for_each(|number| attempts.note_wrong(host(number), now));
        assert!(attempts.wait(host(99), now).is_some());
        assert!(attempts.wait(host(1 << 64), now).is_none());
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        (0..AT_ONCE).for_each(|_| attempts.note_wrong(mapped, now));
        assert!(attempts.wait(address(1), now).is_some());
    }

    #[test]
    fn too_many_addresses_share_what_is_left_until_they_are_forgotten() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for number in 0..5000 {
            attempts.note_wrong(address(number), now);
        }
        assert_eq!(attempts.from.len(), MOST);
        assert_eq!(attempts.wait(address(1), now), None, "it tried once");
        assert!(attempts.wait(address(4999), now).is_some() && attempts.wait(address(9999), now).is_some());
        let later = now + PAUSE;
        attempts.note_wrong(address(1), later);
        assert_eq!((attempts.from.len(), attempts.wait(address(9999), later)), (1, None));
    }
}
