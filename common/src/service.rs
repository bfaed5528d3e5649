//! What the connector works with, each of which can be out on its own.

/// A service, or the machine itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Service {
    /// The portal and its storage.
    Bynder,
    /// The watermarking service.
    Imatag,
    /// This machine: the disk that files rest on between the services.
    Machine,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 3] = [Self::Bynder, Self::Imatag, Self::Machine];

    /// The service's name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bynder => "Bynder",
            Self::Imatag => "Imatag",
            Self::Machine => "this machine",
        }
    }

    /// The service's name in metrics.
    pub fn label(self) -> &'static str {
        self.into()
    }
}
