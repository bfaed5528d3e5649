//! The cookie with the id of a session.

use axum::http::HeaderValue;
use axum::http::header::{COOKIE, HeaderMap};

/// The name of the cookie. It contains the port: cookies of one host are not kept apart by port, and two pages on one machine
/// would end each other's sessions.
#[derive(Debug)]
pub(super) struct Name {
    name: String,
    is_secure: bool,
}

impl Name {
    pub(super) fn new(host: &str, is_secure: bool) -> Self {
        let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| port.parse::<u16>().is_ok());
        let port = port.unwrap_or_default();
        // A browser accepts this prefix only with `Secure` and without a domain.
        let prefix = if is_secure { "__Host-" } else { "" };
        Self { name: format!("{prefix}connector{port}"), is_secure }
    }

    /// The id in the cookies of a request.
    pub(super) fn find<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.name).map(|(_, id)| id)
    }

    pub(super) fn made(&self, id: &str) -> HeaderValue {
        self.with(id, "")
    }

    pub(super) fn deleted(&self) -> HeaderValue {
        self.with("", "; Max-Age=0")
    }

    fn with(&self, id: &str, more: &str) -> HeaderValue {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let text = format!("{}={id}; Path=/; HttpOnly; SameSite=Strict{secure}{more}", self.name);
        // Digits and letters alone; without a value, no cookie is set.
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_kept_from_scripts_other_sites_and_plain_connections() {
        assert_eq!(
            Name::new("connector.example", true).made("0a1b"),
            "__Host-connector=0a1b; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            Name::new("localhost:8088", false).made("0a1b"),
            "connector8088=0a1b; Path=/; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            Name::new("[::1]", false).deleted(),
            "connector=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"
        );
    }

    #[test]
    fn the_id_is_found_among_other_cookies() {
        let name = Name::new("localhost:8088", false);
        let found = |cookies: &[&'static str]| {
            let headers = cookies.iter().map(|value| (COOKIE, HeaderValue::from_static(value))).collect();
            name.find(&headers).map(ToOwned::to_owned)
        };
        assert_eq!(found(&["a=b; connector8088=0a1b; c=d"]).as_deref(), Some("0a1b"));
        assert_eq!(found(&["a=b", "connector8088=0a1b"]).as_deref(), Some("0a1b"));
        assert_eq!(found(&["a=b; connector8089=0a1b; xconnector8088=c"]), None);
        assert_eq!(found(&[]), None);
    }
}
