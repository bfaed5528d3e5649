//! Refused files: whether the file or the wire profile is at fault.

use std::collections::HashMap;

use common::asset::AssetId;
use common::service::Service;

use super::{Blame, Breakers, Trouble};

/// Refused assets, with none accepted, before the wire profile is at fault.
const MOST_ASSETS_REFUSED: usize = 20;

/// What the files submitted with the wire profile show about it.
#[derive(Debug, Default)]
pub(super) struct Wire {
    proven: bool,
    /// The refused assets, each with the number of refused assets at its latest refusal.
    refused: HashMap<AssetId, usize>,
}

impl Wire {
    fn prove(&mut self) {
        *self = Self { proven: true, refused: HashMap::new() };
    }

    /// A refusal with an unproven profile is the asset's own only if no other asset was refused for the first time
    /// since this asset's last refusal: the queue has been through all its assets, and holds too few to speak
    /// against the profile.
    fn is_assets_own(&mut self, asset: &AssetId) -> bool {
        if self.proven {
            return true;
        }
        if self.is_at_fault() {
            return false;
        }
        let is_new = !self.refused.contains_key(asset);
        let count = self.refused.len() + usize::from(is_new);
        let before = self.refused.insert(asset.clone(), count);
        before == Some(count)
    }

    fn is_at_fault(&self) -> bool {
        self.refused.len() >= MOST_ASSETS_REFUSED
    }
}

impl Breakers {
    /// Breakers for a wire profile; `proven`: Imatag is known to have accepted a file with it.
    pub fn for_wire(proven: bool) -> Self {
        let breakers = Self::default();
        breakers.lock().wire.proven = proven;
        breakers
    }

    /// Whether Imatag has accepted a file with this wire profile.
    pub fn is_wire_proven(&self) -> bool {
        self.lock().wire.proven
    }

    /// Records that Imatag accepted a file.
    pub fn wire_proved(&self) {
        self.lock().wire.prove();
    }

    /// Records a refused file. Returns whether the asset is at fault; otherwise the job waits, see
    /// [`Breakers::wire_doubted`].
    pub fn refusal_is_assets_own(&self, asset: &AssetId) -> bool {
        self.lock().wire.is_assets_own(asset)
    }

    /// Records a refusal that may be the wire profile's fault. It costs the job nothing; too many stop the intake.
    pub fn wire_doubted(&self, reason: &str) -> Blame {
        if !self.lock().wire.is_at_fault() {
            return Blame::Service;
        }
        let reason =
            format!("{MOST_ASSETS_REFUSED} assets were refused and none accepted; the latest: {reason}");
        self.trip(Service::Imatag, Trouble::Configuration, &reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(number: usize) -> AssetId {
        format!("A{number}").parse().unwrap()
    }

    #[tokio::test]
    async fn twenty_assets_refused_and_none_accepted_stop_the_intake_and_fail_no_job() {
        let breakers = Breakers::for_wire(false);
        for number in 0..MOST_ASSETS_REFUSED {
            assert_eq!(breakers.worst(), None, "{number}");
            assert!(!breakers.refusal_is_assets_own(&asset(number)));
            // A repetition does not count as a second asset.
            assert!(number == 0 || !breakers.refusal_is_assets_own(&asset(number - 1)));
            assert_eq!(breakers.wire_doubted("400: file_name"), Blame::Service);
        }
        let breaker = breakers.worst().unwrap();
        assert_eq!((breaker.service, breaker.trouble), (Service::Imatag, Trouble::Configuration));
        assert!(breaker.reason.contains("400: file_name"), "{}", breaker.reason);
        assert!(!breakers.refusal_is_assets_own(&asset(0)) && !breakers.refusal_is_assets_own(&asset(99)));
    }

    #[test]
    fn fewer_refused_assets_fail_once_the_queue_has_come_round() {
        let mut wire = Wire::default();
        let fewer = MOST_ASSETS_REFUSED - 1;
        let mut round = || (0..fewer).filter(|number| wire.is_assets_own(&asset(*number))).count();
        assert_eq!([round(), round(), round()], [0, 1, fewer]);
    }

    #[tokio::test]
    async fn a_proven_profile_leaves_each_refusal_to_its_asset() {
        let known = Breakers::for_wire(true);
        let proved = Breakers::for_wire(false);
        assert!(!proved.refusal_is_assets_own(&asset(0)));
        proved.wire_proved();
        for breakers in [known, proved] {
            assert!(breakers.is_wire_proven());
            assert!((0..100).all(|number| breakers.refusal_is_assets_own(&asset(number))));
            assert_eq!(breakers.worst(), None);
        }
    }
}
