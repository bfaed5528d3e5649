//! The operator's page: where it is served, and who may act on it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ConfigError, SecretValue};
use common::address;

/// A shorter token could be guessed.
const SHORTEST_TOKEN: usize = 24;
/// Names are shown in each line of the record of acts.
const LONGEST_NAME: usize = 64;
/// Each login is compared with every token.
const MOST_TOKENS: usize = 100;

/// `[page]`
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PageSection {
    /// The address of the operator's page; without it, there is no page.
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
    /// The address under which people open the page, if a proxy serves it to them.
    #[serde(deserialize_with = "address::read_some")]
    pub public_url: Option<Url>,
    /// The people who may act on the page, and who may read it if it does not listen on a loopback address.
    pub tokens: Vec<PageToken>,
}

/// `[[page.tokens]]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageToken {
    /// Whose token it is; it is recorded with everything done with the token.
    pub name: String,
    /// The token: at least 24 characters.
    pub token: SecretValue,
}

/// A token of the operator's page, with its secret.
#[derive(Debug, Clone)]
pub struct NamedToken {
    pub name: String,
    pub token: SecretString,
}

impl PageSection {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if let Some(url) = &self.public_url {
            super::address::check_base("page.public_url", url, None)?;
            if url.path() != "/" {
                return Err(ConfigError::value(
                    "page.public_url",
                    "must be the address alone, without a path: the page is served at the root",
                ));
            }
        }
        if self.tokens.len() > MOST_TOKENS {
            return Err(ConfigError::value("page.tokens", format!("must be at most {MOST_TOKENS}")));
        }
        let mut names = BTreeSet::new();
        for (index, PageToken { name, .. }) in self.tokens.iter().enumerate() {
            let wrong = |reason: &str| Err(ConfigError::value(format!("page.tokens[{index}].name"), reason));
            let is_wrong = |c: char| !c.is_alphanumeric() && !matches!(c, ' ' | '-' | '_' | '.' | '@');
            let length = name.chars().count();
            if length == 0 || length > LONGEST_NAME || name.contains(is_wrong) || name.trim() != name {
                return wrong("must be 1 to 64 letters, digits, blanks and any of - _ . @");
            }
            if !names.insert(name.to_lowercase()) {
                return wrong("is the name of another token too; each person needs a name of their own");
            }
        }
        if self.tokens.is_empty()
            && self.listen.is_some_and(|listen| !listen.ip().to_canonical().is_loopback())
        {
            return Err(ConfigError::value(
                "page.tokens",
                "is empty, but page.listen is reachable from other machines: reading needs a token there; \
                 write [[page.tokens]] with name and token",
            ));
        }
        Ok(())
    }

    /// The tokens with their secrets resolved.
    pub fn named_tokens(&self) -> Result<Vec<NamedToken>, ConfigError> {
        let mut named: Vec<NamedToken> = Vec::new();
        for (index, PageToken { name, token }) in self.tokens.iter().enumerate() {
            let key = secret_key(index);
            let token = token.resolve(&key)?;
            if token.expose_secret().chars().count() < SHORTEST_TOKEN {
                let reason = format!(
                    "is shorter than {SHORTEST_TOKEN} characters, and could be guessed; make one with `openssl rand -hex 24`"
                );
                return Err(ConfigError::Secret { key, reason });
            }
            if let Some(other) =
                named.iter().find(|other| other.token.expose_secret() == token.expose_secret())
            {
                let reason =
                    format!("is also the token of {:?}; each person needs a token of their own", other.name);
                return Err(ConfigError::Secret { key, reason });
            }
            named.push(NamedToken { name: name.clone(), token });
        }
        Ok(named)
    }
}

/// The key of the token at this index.
pub(super) fn secret_key(index: usize) -> String {
    format!("page.tokens[{index}].token")
}
