//! A link in a response.

use std::fmt;
use std::ops::ControlFlow::{self, Break, Continue};

use reqwest::Response;
use reqwest::header::LOCATION;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};
use url::Url;

/// The most links on the way to a file: storage redirects once or twice.
const MOST_LINKS: u32 = 5;

/// A link whose signature grants access; it is neither stored nor shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Link(Url);

impl Link {
    /// Parses an absolute link.
    pub fn parse(text: &str) -> Option<Self> {
        Url::parse(text).ok().map(Self)
    }

    /// The target of a response to this link. A signed link does not lead from an encrypted to a plain connection.
    pub fn follow(&self, target: &str) -> Option<Self> {
        let target = self.0.join(target).ok()?;
        (target.scheme() == self.0.scheme() || target.scheme() == "https").then_some(Self(target))
    }

    /// The target of a redirect.
    pub fn redirect(&self, answer: &Response) -> Option<Self> {
        self.follow(answer.headers().get(LOCATION)?.to_str().ok()?)
    }

    /// The address, to send a request to.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

/// Requests a link and those that the responses point to, until one of them is the file; returns it with the links
/// before it.
pub async fn follow<T, E, A>(
    mut link: Link,
    ask: impl Fn(Link) -> A,
    endless: impl FnOnce() -> E,
) -> Result<(T, Vec<Link>), E>
where
    A: Future<Output = Result<ControlFlow<T, Link>, E>>,
{
    let mut way = Vec::new();
    for _ in 0..MOST_LINKS {
        way.push(link.clone());
        match ask(link).await? {
            Break(file) => return Ok((file, way)),
            Continue(next) => link = next,
        }
    }
    Err(endless())
}

impl From<Url> for Link {
    fn from(url: Url) -> Self {
        Self(url)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Other("a text"), &"an absolute link"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::parse_error::from_json;

    #[test]
    fn a_link_is_never_shown() {
        let link = Link::parse("https://storage.example/f?signature=s3cr3t").unwrap();
        assert_eq!(format!("{link:?}"), "…");
        for broken in ["//storage.example/f?signature=s3cr3t", "/f?s3cr3t", "s3cr3t", "https://s3cr3t:x", ""]
        {
            let said = from_json::<Link, _>(serde_json::json!(broken)).unwrap_err();
            assert_eq!(said, "invalid value: a text, expected an absolute link");
        }
        for other in
            [serde_json::json!(null), serde_json::json!(7_340_261), serde_json::json!({"a": "s3cr3t"})]
        {
            let said = from_json::<Link, _>(other).unwrap_err();
            assert!(
                said.ends_with("expected a string") && !said.contains("s3cr3t") && !said.contains("734"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_link_leads_on_by_https_or_as_it_came() {
        let link = Link::parse("https://storage.example/f").unwrap();
        assert_eq!(link.follow("/g"), Link::parse("https://storage.example/g"));
        assert_eq!(link.follow("http://storage.example/g"), None);
    }
}
