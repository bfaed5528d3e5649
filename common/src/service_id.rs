//! Ids from a service, which go into URL paths, messages and logs.

/// The text is not a valid id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected 1 to {most} bytes of {alphabet}, and not only dots")]
pub struct InvalidId {
    most: usize,
    alphabet: Alphabet,
}

/// The characters of a kind of id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// ASCII letters, digits, `-` and `_`: no link, and nothing that needs an escape.
    Plain,
    /// Everything except control characters.
    Any,
}

impl std::fmt::Display for Alphabet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Plain => "letters, digits and hyphens",
            Self::Any => "characters other than control characters",
        })
    }
}

/// Defines an id type that validates every value, from responses and from messages, which anyone may have written.
macro_rules! service_id {
    ($(#[$attribute:meta])* $name:ident, most $most:literal bytes of $alphabet:ident) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as the service wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::service_id::InvalidId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                $crate::service_id::checked(text, $most, $crate::service_id::Alphabet::$alphabet).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

pub(crate) use service_id;

pub fn checked(text: String, most: usize, alphabet: Alphabet) -> Result<String, InvalidId> {
    // A URL segment of dots would mean a parent folder.
    let is_dots = text.chars().all(|c| c == '.');
    let is_allowed = |c: char| match alphabet {
        Alphabet::Plain => c.is_ascii_alphanumeric() || c == '-' || c == '_',
        Alphabet::Any => !c.is_control(),
    };
    if is_dots || text.len() > most || !text.chars().all(is_allowed) {
        Err(InvalidId { most, alphabet })
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    service_id!(
        /// An id.
        Id,
        most 8 bytes of Any
    );

    service_id!(
        /// An id for people to read.
        PlainId,
        most 8 bytes of Plain
    );

    #[test]
    fn an_id_is_bounded_shows_as_it_is_and_leads_nowhere_else() {
        for fits in ["7", "a/b", "..a", "é-é-é"] {
            assert_eq!(Id::try_from(fits.to_owned()).unwrap().to_string(), fits);
        }
        for wrong in ["", ".", "..", "...", "a\nb", "a\u{85}b", "123456789"] {
            assert!(Id::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
            assert!(serde_json::from_value::<Id>(wrong.into()).is_err(), "{wrong:?}");
        }
        assert_eq!(PlainId::try_from("a-B_7".to_owned()).unwrap().to_string(), "a-B_7");
        for wrong in ["", "..", "a/b", "a.b", "a?b", "a:b", "é", "a b", "123456789"] {
            assert!(PlainId::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
    }
}
