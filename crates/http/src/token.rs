//! The tokens that sign requests, and how long an OAuth2 token is used.

use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserializer;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::known::remember_issued;
use common::bounded::text;

/// The word before an OAuth2 token (RFC 6750).
pub const BEARER: &str = "Bearer";

/// The lifetime of a token whose response names none.
const UNSAID: Duration = Duration::from_hours(1);
/// A token is replaced after this time at the latest, whatever lifetime its response names.
const LONGEST: Duration = Duration::from_hours(24);
/// How long before its expiry a token is replaced, so that it does not expire during a request.
const EARLY: Duration = Duration::from_mins(1);
/// A token is used at least this long, however short its lifetime, so that not every call fetches one.
const SHORTEST: Duration = Duration::from_secs(30);

/// The longest token, in bytes; a JWT has a few KiB.
const LONGEST_TOKEN: usize = 16 << 10;

/// What signs a request.
#[derive(Debug, Clone)]
pub struct Token {
    /// The word before the secret.
    pub scheme: String,
    /// The key or token.
    pub secret: SecretString,
}

impl Token {
    /// Signs a request; `None` if the token contains characters that a header cannot carry.
    pub fn sign(&self, request: RequestBuilder) -> Option<RequestBuilder> {
        let value = format!("{} {}", self.scheme, self.secret.expose_secret());
        let mut header = HeaderValue::try_from(value).ok()?;
        header.set_sensitive(true);
        Some(request.header(AUTHORIZATION, header))
    }
}

/// Deserialises an issued token.
pub fn issued_token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    text::<LONGEST_TOKEN, _>(deserializer).map(SecretString::from)
}

/// A token, and the seconds until it expires, if known.
pub type Issued = (Token, Option<u64>);

/// The token that the calls of a client share.
#[derive(Debug)]
pub struct Tokens {
    /// Whether a refused token can be replaced.
    can_refresh: bool,
    /// Held while a token is fetched, so that concurrent calls share one refresh.
    held: Mutex<Option<(Token, Instant)>>,
}

impl Tokens {
    /// No token is held at first.
    pub fn new(can_refresh: bool) -> Self {
        Self { can_refresh, held: Mutex::new(None) }
    }

    /// Makes a call with a token, and repeats it with a new token if the service refuses the first.
    pub async fn signed<T, E, I, C>(
        &self,
        issue: impl Fn() -> I,
        is_refusal: impl Fn(&E) -> bool,
        call: impl Fn(Token) -> C,
    ) -> Result<T, E>
    where
        I: Future<Output = Result<Issued, E>>,
        C: Future<Output = Result<T, E>>,
    {
        let token = self.get(&issue).await?;
        match call(token.clone()).await {
            Err(error) if self.can_refresh && is_refusal(&error) => {
                self.forget(&token).await;
                call(self.get(&issue).await?).await
            }
            answer => answer,
        }
    }

    async fn get<E, I>(&self, issue: impl Fn() -> I) -> Result<Token, E>
    where
        I: Future<Output = Result<Issued, E>>,
    {
        let mut held = self.held.lock().await;
        if let Some((token, _)) = held.as_ref().filter(|(_, good_until)| *good_until > Instant::now()) {
            return Ok(token.clone());
        }
        let (token, expires_in) = issue().await?;
        remember_issued(&token.secret);
        *held = Some((token.clone(), Instant::now() + token_use(expires_in)));
        Ok(token)
    }

    /// Drops a refused token, unless another call has replaced it already.
    async fn forget(&self, refused: &Token) {
        let is_refused =
            |held: &(Token, Instant)| held.0.secret.expose_secret() == refused.secret.expose_secret();
        self.held.lock().await.take_if(|held| is_refused(held));
    }
}

/// How long to use a token that expires after this many seconds.
fn token_use(expires_in: Option<u64>) -> Duration {
    expires_in.map_or(UNSAID, Duration::from_secs).min(LONGEST).saturating_sub(EARLY).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_early_and_daily_and_used_for_a_while_whatever_its_answer_claims() {
        let table =
            [(None, 3540), (Some(300), 240), (Some(60), 30), (Some(0), 30), (Some(u64::MAX), 86_400 - 60)];
        for (expires_in, seconds) in table {
            assert_eq!(token_use(expires_in).as_secs(), seconds, "{expires_in:?}");
        }
    }
}
