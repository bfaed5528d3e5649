//! Which directory of the Imatag account an asset's medium belongs in.

use bynder::{Bynder, Metaproperty};
use common::asset::Asset;
use config::ImatagSection;
use imatag::Directory;

use crate::filter::{ResolveError, Traits, resolve_traits};

/// The configured directories with every name resolved against the portal.
#[derive(Debug, Clone)]
pub struct Destinations {
    rules: Vec<(Traits, Directory)>,
    otherwise: Directory,
}

impl Destinations {
    /// Looks every name up at the portal. `known` are the portal's metaproperties.
    ///
    /// # Errors
    /// A name is unknown to the portal, or the portal could not be asked.
    pub async fn resolve(
        imatag: &ImatagSection,
        bynder: &Bynder,
        known: &[Metaproperty],
    ) -> Result<Self, ResolveError> {
        let mut rules = Vec::new();
        for (index, rule) in imatag.directories.iter().enumerate() {
            let key = format!("imatag.directories[{index}]");
            let traits = resolve_traits(&key, &rule.brands, &rule.metaproperties, bynder, known).await?;
            rules.push((traits, rule.directory.clone()));
        }
        Ok(Self { rules, otherwise: imatag.directory.clone() })
    }

    /// The directory of the first rule that the asset meets, or else the one for all others.
    pub fn of(&self, asset: &Asset) -> &Directory {
        let rule = self.rules.iter().find(|(traits, _)| traits.suit(asset));
        rule.map_or(&self.otherwise, |(_, directory)| directory)
    }
}
