//! Signs in at Imatag with an API key, or with OAuth2 client credentials, whose tokens are reused while they are
//! valid.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::error::Attempted;
use super::profile::OAuthCredentials;
use super::{Imatag, ImatagError, Profile};
use http_client::{BEARER, Issued, Operation, Token, issued_token};

#[derive(Debug, Clone)]
pub enum Credential {
    /// The account's API key.
    ApiKey(SecretString),
    /// An OAuth2 application of the type "client credentials".
    OAuth {
        client_id: String,
        client_secret: SecretString,
        /// Where tokens are issued, if the profile does not say or is wrong.
        token_url: Option<Url>,
    },
}

impl Credential {
    /// The configured secret.
    pub(super) fn secret(&self) -> &SecretString {
        match self {
            Self::ApiKey(secret) | Self::OAuth { client_secret: secret, .. } => secret,
        }
    }

    /// Whether a refused token can be replaced.
    pub(super) fn can_refresh(&self) -> bool {
        matches!(self, Self::OAuth { .. })
    }

    /// Where tokens are issued, if the credential needs any.
    pub(super) fn token_url<'a>(&'a self, profile: &'a Profile) -> Option<&'a Url> {
        match self {
            Self::ApiKey(_) => None,
            Self::OAuth { token_url, .. } => token_url.as_ref().or(profile.auth.token_url.as_ref()),
        }
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(deserialize_with = "issued_token")]
    access_token: SecretString,
    token_type: Option<String>,
    expires_in: Option<u64>,
}

impl Imatag {
    /// The key or a new token, with the word before it: the profile's for a key, the token's own for a token.
    pub(super) async fn sign_in(&self) -> Result<Issued, ImatagError> {
        let inner = &self.inner;
        let (client_id, client_secret) = match &inner.credential {
            Credential::ApiKey(key) => {
                return Ok((Token { scheme: inner.profile.auth.scheme.clone(), secret: key.clone() }, None));
            }
            Credential::OAuth { client_id, client_secret, .. } => (client_id, client_secret),
        };
        let at = Attempted { operation: "signing in".to_owned(), request_id: None };
        let Some(url) = inner.credential.token_url(&inner.profile) else {
            let reason = "no token URL: set imatag.oauth.token_url".to_owned();
            return Err(ImatagError::Misconfigured { at, reason });
        };
        let request = inner.transport.client().post(url.clone());
        let grant = ("grant_type", "client_credentials");
        let request = match inner.profile.auth.oauth_credentials {
            OAuthCredentials::Basic => {
                request.basic_auth(client_id, Some(client_secret.expose_secret())).form(&[grant])
            }
            OAuthCredentials::Body => {
                let id = ("client_id", client_id.as_str());
                request.form(&[grant, id, ("client_secret", client_secret.expose_secret())])
            }
        };
        let answer = inner.transport.send(Operation::ImatagSignIn, request).await;
        let response = self.dispatch(Operation::ImatagSignIn, "signing in", answer).await;
        let response = response.map_err(|error| match error {
            ImatagError::Refused { at, reason } => ImatagError::Unauthorized { at, reason },
            other => other,
        })?;
        let answer: TokenAnswer = self.read(Operation::ImatagSignIn, "signing in", response).await?;
        // Services write the word in either case, and accept it in the standard's.
        let named = answer.token_type.filter(|kind| !kind.is_empty() && !kind.eq_ignore_ascii_case(BEARER));
        let scheme = named.unwrap_or_else(|| BEARER.to_owned());
        Ok((Token { scheme, secret: answer.access_token }, answer.expires_in))
    }
}
