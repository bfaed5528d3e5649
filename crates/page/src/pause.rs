//! The switch that pauses the work.

use async_trait::async_trait;
use budget::{OperatorPause, Records};
use common::failure::Failure;
use rabbitmq::EgressGroup;

/// Pauses the work, and lets it continue.
#[async_trait]
pub trait PauseSwitch: Send + Sync {
    /// The pause, if there is one.
    async fn paused(&self) -> Result<Option<OperatorPause>, Failure>;
    async fn pause(&self, wish: &OperatorPause) -> Result<(), Failure>;
    /// Ends the pause; returns whether there was one.
    async fn resume(&self) -> Result<bool, Failure>;
}

/// One machine.
#[async_trait]
impl PauseSwitch for Records {
    async fn paused(&self) -> Result<Option<OperatorPause>, Failure> {
        Ok(self.operator_pause())
    }

    async fn pause(&self, wish: &OperatorPause) -> Result<(), Failure> {
        Self::pause(self, wish).map_err(|error| unwritable(&error))
    }

    async fn resume(&self) -> Result<bool, Failure> {
        Self::resume(self).map_err(|error| unwritable(&error))
    }
}

fn unwritable(error: &std::io::Error) -> Failure {
    Failure::Unexpected(format!("producer.state_dir: cannot be written: {error}"))
}

/// A fleet.
#[async_trait]
impl PauseSwitch for EgressGroup {
    async fn paused(&self) -> Result<Option<OperatorPause>, Failure> {
        Ok(self.pauses().await?.0)
    }

    async fn pause(&self, wish: &OperatorPause) -> Result<(), Failure> {
        Ok(self.operator_pauses(wish).await?)
    }

    async fn resume(&self) -> Result<bool, Failure> {
        Ok(self.operator_resumes().await?)
    }
}
