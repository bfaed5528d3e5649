//! Reserves calls of the request budget in advance, for calls that must follow each other closely.
//!
//! At the limit a call waits seconds, in the worst case minutes, for the budget. A check would be that old when the
//! save that relies on it is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{Bynder, BynderError, Gate};

/// How long a reserved call is valid: the budget counts a call when it lets it go, and expects it soon after.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// Calls that are reserved and not used yet.
#[derive(Debug)]
pub(super) struct ReservedCalls {
    left: AtomicU32,
    until: Instant,
    gate: Arc<dyn Gate>,
}

impl ReservedCalls {
    /// Uses one; false if there was none left.
    pub(super) fn take(&self) -> bool {
        let taking = self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taking.is_ok() && Instant::now() < self.until
    }
}

impl Drop for ReservedCalls {
    fn drop(&mut self) {
        self.gate.refund(*self.left.get_mut());
    }
}

impl Bynder {
    /// The same client with calls of the budget reserved for it. The wait for all of them is now, not
    /// between the calls. A call that comes too late waits as usual.
    ///
    /// # Errors
    /// [`BynderError::Paused`] if the budget is paused, or too many calls wait.
    pub async fn reserve_calls(&self, calls: u32) -> Result<Self, BynderError> {
        let given = self.wait_for(calls).await?;
        let (left, until) = (AtomicU32::new(given), Instant::now() + GOOD_FOR);
        let reserved = ReservedCalls { left, until, gate: Arc::clone(&self.inner.gate) };
        Ok(Self { reserved: Some(Arc::new(reserved)), ..self.clone() })
    }

    /// Waits for the budget, unless this client has a reserved call and no pause began since.
    pub(super) async fn admit(&self) -> Result<(), BynderError> {
        if self.reserved.as_ref().is_some_and(|reserved| reserved.take()) {
            return self.inner.gate.check().map_err(BynderError::from);
        }
        self.wait_for(1).await.map(|_| ())
    }

    async fn wait_for(&self, calls: u32) -> Result<u32, BynderError> {
        self.inner.gate.admit(self.lane, calls).await.map_err(BynderError::from)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use secrecy::SecretString;

    use super::super::{Credential, ImportId, Paused};
    use super::*;
    use common::asset::AssetId;
    use common::job::Lane;
    use common::permission::Permission;
    use queue::QueueError;

    use crate::tests::settings;

    /// Records the calls to it, and pauses on request.
    #[derive(Debug, Default)]
    struct Noting {
        asked: Mutex<Vec<u32>>,
        unused: AtomicU32,
        silent: Mutex<bool>,
    }

    #[async_trait]
    impl Gate for Noting {
        async fn admit(&self, _: Lane, calls: u32) -> Result<u32, Paused> {
            self.asked.lock().unwrap().push(calls);
            self.check().map(|()| calls)
        }

        fn check(&self) -> Result<(), Paused> {
            if *self.silent.lock().unwrap() { Err(Paused { remaining: GOOD_FOR }) } else { Ok(()) }
        }

        fn refund(&self, calls: u32) {
            self.unused.fetch_add(calls, Ordering::Relaxed);
        }

        fn interval(&self) -> Duration {
            Duration::ZERO
        }

        fn refused(&self) {}

        fn answered(&self) {}
    }

    fn client() -> (Arc<Noting>, Bynder) {
        let token = Credential::Token(SecretString::from("t"));
        let settings = settings("http://127.0.0.1:9/".parse().unwrap(), token);
        let gate = Arc::new(Noting::default());
        (Arc::clone(&gate), Bynder::new(settings, gate).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn reserved_calls_do_not_wait_between_each_other() {
        let (gate, bynder) = client();
        let ahead = bynder.reserve_calls(2).await.unwrap();
        ahead.admit().await.unwrap();
        ahead.admit().await.unwrap();
        assert_eq!(*gate.asked.lock().unwrap(), [2]);
        ahead.admit().await.unwrap();
        assert_eq!(*gate.asked.lock().unwrap(), [2, 1]);
        drop(ahead);
        assert_eq!(gate.unused.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_not_used_in_a_silence_nor_long_after_it_was_given() {
        let (gate, bynder) = client();
        let ahead = bynder.reserve_calls(2).await.unwrap();
        *gate.silent.lock().unwrap() = true;
        assert!(ahead.admit().await.is_err());
        *gate.silent.lock().unwrap() = false;
        tokio::time::advance(GOOD_FOR).await;
        ahead.admit().await.unwrap();
        assert_eq!(*gate.asked.lock().unwrap(), [2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn places_that_are_not_needed_are_given_back() {
        let (gate, bynder) = client();
        drop(bynder.reserve_calls(2).await.unwrap());
        assert_eq!(gate.unused.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_would_change_an_asset_is_not_sent_where_the_right_is_lost_during_admission() {
        let asset: AssetId = "A".parse().unwrap();
        for effect in 0..3 {
            let (gate, bynder) = client();
            let asked = Arc::clone(&gate);
            let bynder = bynder.under(Permission::new(move || match asked.asked.lock().unwrap().len() {
                0 => Ok(()),
                _ => Err(QueueError::Unavailable("the lease was lost".to_owned())),
            }));
            let import = ImportId::try_from("I".to_owned()).unwrap();
            // Nothing listens at the address, so a request that is sent ends as unavailable.
            let error = match effect {
                0 => bynder.save_version(&asset, &import).await.unwrap_err(),
                1 => bynder.save_asset(&import, &[]).await.unwrap_err(),
                _ => bynder.set_texts(&asset, &[("P", "text")]).await.unwrap_err(),
            };
            assert!(
                matches!(error, BynderError::Withheld { .. }) && !error.may_have_been_sent(),
                "{error:?}"
            );
            assert_eq!(gate.unused.load(Ordering::Relaxed), 1, "its call is lost");
            let error = bynder.asset(&asset).await.unwrap_err();
            assert!(matches!(error, BynderError::Unavailable { .. }), "a read needs no right: {error:?}");
        }
    }
}
