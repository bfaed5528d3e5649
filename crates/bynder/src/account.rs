//! Calls that only read data of the portal: cheap and without effect.

use serde::{Deserialize, Deserializer};

use super::{Bynder, BynderError};
use http_client::{Operation, excerpt, prose};

#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    /// An excerpt of its name.
    #[serde(default, deserialize_with = "shown")]
    pub name: String,
}

fn shown<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|name| prose(&excerpt(&name)))
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Named {
    pub id: String,
    #[serde(default)]
    pub name: String,
}

#[derive(Deserialize)]
struct Tag {
    tag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    profile_id: String,
}

#[derive(Deserialize)]
struct Profile {
    roles: Vec<String>,
}

impl Bynder {
    /// The security roles of the token's user, such as `MEDIAUPLOAD`. The two calls are in no published definition;
    /// other integrations use them.
    pub async fn roles(&self) -> Result<Vec<String>, BynderError> {
        let operation = "asking for the user's roles";
        let url = self.url(operation, &["api", "v4", "currentUser", ""])?;
        let user: User = self.call(Operation::LookUp, operation, |client| client.get(url.clone())).await?;
        let url = self.url(operation, &["api", "v4", "profiles", &user.profile_id, ""])?;
        let profile: Profile =
            self.call(Operation::LookUp, operation, |client| client.get(url.clone())).await?;
        Ok(profile.roles)
    }

    /// The account: the cheapest call that tests portal and token.
    pub async fn account(&self) -> Result<Account, BynderError> {
        let url = self.url("asking for the account", &["api", "v4", "account", ""])?;
        self.call(Operation::LookUp, "asking for the account", |client| client.get(url.clone())).await
    }

    pub async fn brands(&self) -> Result<Vec<Named>, BynderError> {
        let url = self.url("listing brands", &["api", "v4", "brands", ""])?;
        self.call(Operation::LookUp, "listing brands", |client| client.get(url.clone())).await
    }

    /// The collections that the token's user may see, at most a thousand.
    pub async fn collections(&self) -> Result<Vec<Named>, BynderError> {
        let mut url = self.url("listing collections", &["api", "v4", "collections", ""])?;
        url.set_query(Some("limit=1000"));
        self.call(Operation::LookUp, "listing collections", |client| client.get(url.clone())).await
    }

    /// Tags that contain a word.
    pub async fn tags(&self, keyword: &str) -> Result<Vec<String>, BynderError> {
        let mut url = self.url("listing tags", &["api", "v4", "tags", ""])?;
        url.query_pairs_mut().append_pair("keyword", keyword).append_pair("limit", "1000");
        let tags: Vec<Tag> =
            self.call(Operation::LookUp, "listing tags", |client| client.get(url.clone())).await?;
        Ok(tags.into_iter().map(|tag| tag.tag).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_account_is_bounded_prose() {
        let name =
            |name: &str| serde_json::from_value::<Account>(serde_json::json!({ "name": name })).unwrap().name;
        assert_eq!(name("Acme Pictures Ltd. 2026"), "Acme Pictures Ltd. 2026");
        assert!(name(&"Acme ".repeat(1 << 18)).len() <= 200);
        let link = name("https://x.example/?X-Amz-Signature=SIGNATUREs3cr3t0123456789abcdefXYZ");
        assert!(link.contains('…') && !link.contains("s3cr3t"), "{link}");
    }
}
