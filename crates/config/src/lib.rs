//! Reads the configuration: a TOML file, overridden by the environment, overridden by the command line.
//!
//! [`Config`] is the result. Every error names the key, and none repeats a value that may be a secret. A
//! [`SecretValue`] is read from a variable or a file, or decrypted with age, when it is needed. [`schema`]
//! describes the file.
//!
//! ```
//! use config::Config;
//! use files::written::Chosen;
//!
//! let folder = tempfile::tempdir().unwrap();
//! let file = folder.path().join("connector.toml");
//! std::fs::write(&file, "[bynder]\ndomian = 'https://acme.example'").unwrap();
//! let mistake = Config::load(Some(&file), Chosen::Named, &[]).unwrap_err();
//! assert!(mistake.to_string().contains("domian"), "{mistake}");
//! ```

mod address;
mod checks;
mod confirm;
mod error;
mod file;
mod filters;
mod layers;
mod notify;
mod page;
mod parse;
mod proxies;
mod quiet_hours;
mod reader;
mod rotate;
mod schema;
mod secret;
mod traces;
mod validate;
mod worker;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use checks::ChecksSection;
pub use common::job::OutputMode;
pub use common::span::Span;
pub use confirm::confirm_profile;
pub use error::ConfigError;
pub use file::{
    BrokerSection, BynderOAuth, BynderSection, Config, DirectoryOf, HttpSection, ImatagOAuth, ImatagSection,
    Limits, MarkerSection, OutputSection, ProducerSection, QueueSection,
};
pub use filters::{DateRange, Exclude, Filters, read_moment};
pub use layers::{Origin, Override};
pub use notify::{MailEncryption, MailSection, NotifySection};
pub use page::{NamedToken, PageSection, PageToken};
pub use quiet_hours::{Backlog, Day, QuietHours, TimeOfDay, Zone};
pub use reader::ReaderSection;
pub use rotate::rotate;
pub use schema::schema;
pub use secret::{Keys, SecretValue, encrypt, identity_file, keygen, read_text};
pub use traces::{TraceExport, TracesSection};
pub use worker::WorkerSection;

use common::parse_error::of_toml;
use files::written::Chosen;
use layers::Layers;

/// A configuration that was read and passed all checks.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// What a person should know although the configuration works.
    pub warnings: Vec<String>,
    /// The origin of each given value, by dotted key.
    pub origins: Vec<(String, Origin)>,
}

impl Config {
    /// Reads the file, overrides it by the environment and by `overrides`, and checks the result.
    ///
    /// # Errors
    /// The first key that is unknown, missing, or has a value of the wrong type or without use, with what to write
    /// instead; or a variable that should name a proxy and does not.
    pub fn load(file: Option<&Path>, chosen: Chosen, overrides: &[Override]) -> Result<Loaded, ConfigError> {
        proxies::check(|name| std::env::var_os(name))?;
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let layers = Layers::read(file, chosen, environment.collect(), overrides)?;
        Self::from_layers(layers)
    }

    /// Parses a text without file and environment, and checks it.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: "the text".into(),
            reason: of_toml(text, error.message(), error.span()),
        })?;
        Ok(Self::from_layers(Layers { table, origins: Vec::new(), warnings: Vec::new() })?.config)
    }

    fn from_layers(layers: Layers) -> Result<Loaded, ConfigError> {
        let config: Self = parse::parse(layers.table)?;
        let mut warnings = layers.warnings;
        warnings.extend(validate::check(&config)?);
        Ok(Loaded { config, warnings, origins: layers.origins })
    }
}
