//! What a run needs to know about the portal before it starts.

use bynder::patience::{Patience, patiently};
use bynder::{Bynder, BynderError, Metaproperty};
use common::asset::InvalidAssetId;
use common::failure::Failure;
use config::Config;
use ledger::Ledger;
use wiring::{MetapropertyError, WrittenFields, written_fields};

use crate::destination::Destinations;
use crate::filter::{self, Filter, ResolveError};

/// Why a run cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PortalError {
    /// The portal could not be asked.
    #[error(transparent)]
    Bynder(#[from] BynderError),
    /// A metaproperty that has to be written cannot be used.
    #[error(transparent)]
    Metaproperty(#[from] MetapropertyError),
    /// A filter cannot be resolved at this portal.
    #[error(transparent)]
    Filter(#[from] ResolveError),
    /// An invalid asset id.
    #[error(transparent)]
    Id(#[from] InvalidAssetId),
}

/// The names in the configuration, resolved at the portal.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Which assets the run concerns.
    pub filter: Filter,
    /// Imatag's directories for their media.
    pub destinations: Destinations,
    pub fields: WrittenFields,
    /// All metaproperties of the portal.
    pub metaproperties: Vec<Metaproperty>,
}

/// Asks the portal for what must be known before anything is done.
pub async fn resolve(config: &Config, bynder: &Bynder) -> Result<Resolved, PortalError> {
    let known = patiently(&Patience::brief(), || bynder.metaproperties()).await?;
    let fields = written_fields(&known, config)?;
    let filter = filter::resolve(&config.filters, bynder, &known).await?;
    let destinations = Destinations::resolve(&config.imatag, bynder, &known).await?;
    Ok(Resolved { filter, destinations, fields, metaproperties: known })
}

/// Ties the ledger to the portal, which has just answered. Refuses the ledger of another portal, whose jobs and
/// cursor mean nothing here.
pub async fn bind_state_to_portal(config: &Config, ledger: &Ledger) -> Result<(), Failure> {
    let portal = config.bynder.origin()?;
    let known = ledger.portal_or(&portal).await?;
    if known == portal {
        return Ok(());
    }
    Err(Failure::Configuration(format!(
        "the state directory {} holds the ledger of {known}, and bynder.domain is {portal}; name another \
         producer.state_dir, or, if it is the same library under another address, run `connector state reset`",
        config.producer.state_dir.display()
    )))
}
