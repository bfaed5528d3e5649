//! The named tokens that let a person act.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// The SHA-256 of a secret. All secrets that are compared are hashed first, so that neither their length nor a common
/// beginning takes a time of its own.
pub(super) type Hashed = [u8; 32];

pub(super) fn hashed(secret: &str) -> Hashed {
    Sha256::digest(secret.as_bytes()).into()
}

/// The tokens of the configuration, by the names of those who have them.
#[derive(Debug, Clone, Default)]
pub(super) struct Tokens {
    known: Vec<(Arc<str>, Hashed)>,
}

impl Tokens {
    pub(super) fn new(tokens: Vec<(String, SecretString)>) -> Self {
        let known = tokens.into_iter().map(|(name, token)| (name.into(), hashed(token.expose_secret())));
        Self { known: known.collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whose token this is. Every known one is compared each time.
    pub(super) fn name_of(&self, presented: &str) -> Option<Arc<str>> {
        let presented = hashed(presented);
        let mut found = u64::MAX;
        for (at, (_, known)) in (0..).zip(&self.known) {
            found.conditional_assign(&at, known.ct_eq(&presented));
        }
        let (name, _) = self.known.get(usize::try_from(found).ok()?)?;
        Some(Arc::clone(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_name_of_its_owner_and_nothing_else_has_one() {
        let tokens = [("ann", "first-token"), ("ben", "second-token"), ("eve", "third-token")];
        let tokens =
            Tokens::new(tokens.map(|(name, token)| (name.to_owned(), SecretString::from(token))).into());
        for (presented, expected) in [
            ("first-token", Some("ann")),
            ("second-token", Some("ben")),
            ("third-token", Some("eve")),
            ("", None),
            ("first-toke", None),
            ("first-token ", None),
            ("First-token", None),
            ("ann", None),
        ] {
            assert_eq!(tokens.name_of(presented).as_deref(), expected, "{presented:?}");
        }
    }

    #[test]
    fn without_tokens_nothing_is_one() {
        assert_eq!(Tokens::default().name_of(""), None);
    }
}
