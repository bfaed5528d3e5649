//! Signing in: a permanent token, or OAuth2 client credentials with a cached token.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Bynder, BynderError};
use crate::decode::Number;
use http_client::{Operation, token_use};

/// The operation's name in errors.
const OPERATION: &str = "signing in";

/// How the connector signs in at the portal.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A permanent token.
    Token(SecretString),
    /// An OAuth2 application of the kind "client credentials".
    ClientCredentials {
        /// The application's id.
        client_id: String,
        /// The application's secret.
        client_secret: SecretString,
    },
}

#[derive(Debug)]
pub(super) struct Credentials {
    credential: Credential,
    /// Held while a token is fetched, so that concurrent calls share one refresh.
    cached: Mutex<Option<Cached>>,
}

#[derive(Debug, Clone)]
struct Cached {
    token: SecretString,
    good_until: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    #[serde(default)]
    expires_in: Number<u64>,
}

impl Credentials {
    pub(super) fn new(credential: Credential) -> Self {
        Self { credential, cached: Mutex::new(None) }
    }

    /// Whether a refused token can be replaced by a new one.
    pub(super) fn can_refresh(&self) -> bool {
        matches!(self.credential, Credential::ClientCredentials { .. })
    }

    /// Forgets `refused`, unless somebody else has replaced it already.
    pub(super) async fn forget(&self, refused: &SecretString) {
        let mut cached = self.cached.lock().await;
        if cached.as_ref().is_some_and(|held| held.token.expose_secret() == refused.expose_secret()) {
            *cached = None;
        }
    }
}

impl Bynder {
    /// The token for the next call, fetched if there is none that is good for another minute.
    pub(super) async fn token(&self) -> Result<SecretString, BynderError> {
        let credentials = &self.inner.credentials;
        let (client_id, client_secret) = match &credentials.credential {
            Credential::Token(token) => return Ok(token.clone()),
            Credential::ClientCredentials { client_id, client_secret } => (client_id, client_secret),
        };
        let mut cached = credentials.cached.lock().await;
        if let Some(held) = cached.as_ref().filter(|held| held.good_until > Instant::now()) {
            return Ok(held.token.clone());
        }
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id.as_str()),
            ("client_secret", client_secret.expose_secret()),
        ];
        let url = self.url(OPERATION, &["v6", "authentication", "oauth2", "token"])?;
        let request = self.inner.transport.client().post(url).form(&form);
        self.admit().await?;
        let answer = self.dispatch(Operation::SignIn, OPERATION, request).await;
        let answer = answer.map_err(|error| match error {
            BynderError::Refused { operation, message, .. } => {
                BynderError::Unauthorized { operation, message }
            }
            other => other,
        })?;
        let answer: TokenAnswer = self.read(Operation::SignIn, OPERATION, answer).await?;
        let good_until = Instant::now() + token_use(answer.expires_in.0);
        *cached = Some(Cached { token: answer.access_token.clone(), good_until });
        Ok(answer.access_token)
    }
}
