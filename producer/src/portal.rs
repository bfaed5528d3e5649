//! What a run has to know of the portal before it starts.

use common::asset::InvalidAssetId;
use common::bynder::{Bynder, BynderError, Metaproperty, MetapropertyError, hash_metaproperty};
use common::config::Config;
use common::patience::{Patience, patiently};

use crate::filter::{self, Filter, ResolveError};

/// Why a run cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PortalError {
    /// The portal could not be asked.
    #[error(transparent)]
    Bynder(#[from] BynderError),
    /// The hash metaproperty cannot be used.
    #[error(transparent)]
    Metaproperty(#[from] MetapropertyError),
    /// A filter means nothing to this portal.
    #[error(transparent)]
    Filter(#[from] ResolveError),
    /// An id that is none.
    #[error(transparent)]
    Id(#[from] InvalidAssetId),
}

/// The names in the configuration, as the portal knows them.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Which assets are meant.
    pub filter: Filter,
    /// The hash metaproperty: listings show it by name, writes need its id.
    pub metaproperty: Metaproperty,
}

/// Asks the portal what has to be known before anything is done.
pub async fn resolve(config: &Config, bynder: &Bynder) -> Result<Resolved, PortalError> {
    let known = patiently(&Patience::brief(), || bynder.metaproperties()).await?;
    let metaproperty = hash_metaproperty(&known, &config.bynder.hash_metaproperty)?.clone();
    let filter = filter::resolve(&config.filters, bynder, &known).await?;
    Ok(Resolved { filter, metaproperty })
}
