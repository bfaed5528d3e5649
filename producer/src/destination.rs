//! The directory of the Imatag account for an asset's medium.

use bynder::{Bynder, Metaproperty};
use common::asset::Asset;
use config::ImatagSection;
use imatag::Directory;

use crate::filter::{ResolveError, Traits, resolve_traits};

/// The configured directories with every name resolved at the portal.
#[derive(Debug, Clone)]
pub struct Destinations {
    rules: Vec<(Traits, Directory)>,
    otherwise: Directory,
}

impl Destinations {
    /// Resolves every name at the portal. `known` are the portal's metaproperties.
    ///
    /// # Errors
    /// The portal does not know a name, or could not be asked.
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

    /// The directory of the first rule that the asset matches, or else the default one.
    pub fn of(&self, asset: &Asset) -> &Directory {
        let rule = self.rules.iter().find(|(traits, _)| traits.suit(asset));
        rule.map_or(&self.otherwise, |(_, directory)| directory)
    }
}
