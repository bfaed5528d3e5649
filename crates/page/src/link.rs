//! Links into Bynder.

use common::asset::AssetId;
use config::{Config, ConfigError};
use url::Url;

/// The portal, as the page links to it.
#[derive(Debug, Clone)]
pub(crate) struct Portal {
    /// The portal's host name, and its port if it is no usual one.
    pub(crate) name: String,
    /// `None` if it is reached by plain http through a network of its own, where no browser is.
    origin: Option<Url>,
}

impl Portal {
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigError> {
        let url = config.bynder.portal()?;
        let host = url.host_str().unwrap_or_default();
        let name = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let is_for_browsers = url.scheme() == "https" || http_client::is_loopback(&url);
        Ok(Self { name, origin: is_for_browsers.then_some(url) })
    }

    /// The page of an asset in Bynder.
    pub(crate) fn asset(&self, id: &AssetId) -> Option<String> {
        // An id consists of letters, digits, hyphens and underscores.
        self.origin
            .as_ref()
            .filter(|_| *id != AssetId::unknown())
            .map(|origin| format!("{origin}media/?mediaId={id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_asset_by_https_or_on_this_machine() {
        let link = |domain: &str| {
            let text = format!(
                "bynder = {{ domain = '{domain}', allow_http = true, hash_metaproperty = 'h', api_token = 't' }}\n\
                 imatag = {{ directory = 'd', api_key = 'k' }}"
            );
            let portal = Portal::of(&Config::parse(&text).unwrap()).unwrap();
            (portal.name.clone(), portal.asset(&"A-1".parse().unwrap()))
        };
        for (domain, name, wanted) in [
            ("acme.bynder.com", "acme.bynder.com", Some("https://acme.bynder.com/media/?mediaId=A-1")),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", Some("http://127.0.0.1:8080/media/?mediaId=A-1")),
            ("http://sandbox:8080", "sandbox:8080", None),
        ] {
            assert_eq!(link(domain), (name.to_owned(), wanted.map(str::to_owned)));
        }
    }
}
