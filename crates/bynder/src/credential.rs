//! Signs in with a permanent token, or with OAuth2 client credentials, whose tokens are reused while they are
//! valid.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{Bynder, BynderError};
use crate::decode::Number;
use http_client::{BEARER, Issued, Operation, Token, issued_token};

/// The operation's name in errors.
const OPERATION: &str = "signing in";

#[derive(Debug, Clone)]
pub enum Credential {
    Token(SecretString),
    /// An OAuth2 application of the type "client credentials".
    ClientCredentials {
        client_id: String,
        client_secret: SecretString,
    },
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(deserialize_with = "issued_token")]
    access_token: SecretString,
    #[serde(default)]
    expires_in: Number<u64>,
}

impl Credential {
    /// The configured secret.
    pub(super) fn secret(&self) -> &SecretString {
        match self {
            Self::Token(secret) | Self::ClientCredentials { client_secret: secret, .. } => secret,
        }
    }

    /// Whether a refused token can be replaced by a new one.
    pub(super) fn can_refresh(&self) -> bool {
        matches!(self, Self::ClientCredentials { .. })
    }
}

impl Bynder {
    /// The permanent token, or a new one.
    pub(super) async fn sign_in(&self) -> Result<Issued, BynderError> {
        let bearer = |secret| Token { scheme: BEARER.to_owned(), secret };
        let (client_id, client_secret) = match &self.inner.credential {
            Credential::Token(token) => return Ok((bearer(token.clone()), None)),
            Credential::ClientCredentials { client_id, client_secret } => (client_id, client_secret),
        };
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
        Ok((bearer(answer.access_token), answer.expires_in.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Script, client, json, response};

    #[tokio::test]
    async fn one_refresh_serves_all_callers_and_a_refused_token_is_replaced_once() {
        let token = |word: &str| {
            json(200, &format!(r#"{{"access_token":"{word}","expires_in":3600,"token_type":"bearer"}}"#))
        };
        let answers = vec![
            token("one"),
            json(200, "{}"),
            json(200, "{}"),
            response(401, "text/plain", ""),
            token("two"),
            json(200, "{}"),
        ];
        let (script, url) = Script::serve(answers).await;
        let client_secret = SecretString::from("secret");
        let bynder = client(url, Credential::ClientCredentials { client_id: "id".to_owned(), client_secret });
        let (left, right) = tokio::join!(bynder.account(), bynder.account());
        assert!(left.is_ok() && right.is_ok());
        bynder.account().await.unwrap();
        let tokens: Vec<_> =
            script.seen().iter().map(|seen| seen.authorization.clone().unwrap_or_default()).collect();
        assert_eq!(tokens, ["", "Bearer one", "Bearer one", "Bearer one", "", "Bearer two"]);
    }

    #[tokio::test]
    async fn no_answer_may_repeat_the_secret_that_tokens_are_issued_for_and_no_token_is_huge() {
        let secret = "cl1ent-s3cret-0f-the-p0rtal";
        let signed_in =
            |token: &str| json(200, &format!(r#"{{"access_token":"{token}","expires_in":3600}}"#));
        let answers = vec![
            signed_in("issued-t0ken-0f-the-p0rtal"),
            json(200, &format!(r#"{{"name":"a {secret}"}}"#)),
            json(200, r#"{"name":"acme"}"#),
        ];
        let credential = || Credential::ClientCredentials {
            client_id: "id".to_owned(),
            client_secret: SecretString::from(secret),
        };
        let (_, url) = Script::serve(answers).await;
        let bynder = client(url, credential());
        let said = bynder.account().await.unwrap_err().to_string();
        assert!(said.contains("it repeats the credential"), "{said}");
        assert!(bynder.account().await.is_ok());
        let (_, url) = Script::serve(vec![signed_in(&"x".repeat((16 << 10) + 1))]).await;
        let said = client(url, credential()).account().await.unwrap_err().to_string();
        assert!(said.contains("signing in: unexpected response"), "{said}");
        let (_, url) = Script::serve(vec![signed_in(&"x".repeat(16 << 10)), json(200, "{}")]).await;
        assert!(client(url, credential()).account().await.is_ok());
        // A service may issue the same token again.
        let again = || vec![signed_in("issued-t0ken-0f-the-p0rtal"), json(200, "{}")];
        for _ in 0..2 {
            let (_, url) = Script::serve(again()).await;
            assert!(client(url, credential()).account().await.is_ok());
        }
    }
}
