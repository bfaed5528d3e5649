//! The services that can fail independently of each other.

/// A service, or the machine itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Service {
    /// The portal and its storage.
    Bynder,
    Imatag,
    /// This machine: the disk of the spool.
    Machine,
}

impl Service {
    pub const ALL: [Self; 3] = [Self::Bynder, Self::Imatag, Self::Machine];

    /// The name for display.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bynder => "Bynder",
            Self::Imatag => "Imatag",
            Self::Machine => "this machine",
        }
    }

    /// The name in metrics.
    pub fn label(self) -> &'static str {
        self.into()
    }
}
