//! The services the connector works with.

/// A service that can be out on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The portal and its storage.
    Bynder,
    /// The watermarking service.
    Imatag,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 2] = [Self::Bynder, Self::Imatag];

    /// The service's name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bynder => "Bynder",
            Self::Imatag => "Imatag",
        }
    }

    /// The service's name in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Bynder => "bynder",
            Self::Imatag => "imatag",
        }
    }
}
