//! Checks every address in the configuration and in a wire profile.

use url::Url;

use super::{Config, ConfigError};
use http_client::is_loopback;

/// Refuses plain http except to this machine or with `allow_http`, if the section has that key, and addresses that contain a
/// secret, which has a key of its own.
pub(super) fn check(key: &str, url: &Url, allow_http: Option<bool>) -> Result<(), ConfigError> {
    let wrong = |reason: &str| Err(ConfigError::value(key, reason));
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("must hold no user and no password; secrets have keys of their own");
    }
    if url.fragment().is_some() {
        return wrong("must hold no fragment: leave out what follows #");
    }
    match (url.scheme(), allow_http) {
        ("https", _) => Ok(()),
        ("http", _) if allow_http == Some(true) || is_loopback(url) => Ok(()),
        (_, Some(_)) => {
            wrong("must use https; http is only for this machine, or with allow_http = true for any other")
        }
        (_, None) => wrong("must use https; http is only for this machine"),
    }
}

/// The same for an address that paths are appended to.
pub(super) fn check_base(key: &str, url: &Url, allow_http: Option<bool>) -> Result<(), ConfigError> {
    check(key, url, allow_http)?;
    if url.query().is_some() {
        return Err(ConfigError::value(key, "must hold no query: leave out what follows ?"));
    }
    Ok(())
}

/// Checks every address of the configuration. The wire profile's are checked when its file is read.
pub(super) fn check_all(config: &Config) -> Result<(), ConfigError> {
    config.bynder.portal()?;
    storage_hosts(config.bynder.storage_hosts.as_deref().unwrap_or_default())?;
    let imatag = &config.imatag;
    let token_url = imatag.oauth.as_ref().and_then(|oauth| oauth.token_url.as_ref());
    token_url.map_or(Ok(()), |url| check("imatag.oauth.token_url", url, Some(imatag.allow_http)))?;
    let (base_url, traces) = (imatag.base_url.as_ref(), &config.traces);
    base_url.map_or(Ok(()), |url| check_base("imatag.base_url", url, Some(imatag.allow_http)))?;
    let collector = traces.endpoint.as_ref();
    collector.map_or(Ok(()), |url| check_base("traces.endpoint", url, Some(traces.allow_http)))
}

fn storage_hosts(patterns: &[String]) -> Result<(), ConfigError> {
    let is_host = |pattern: &String| {
        let name = pattern.strip_prefix("*.").unwrap_or(pattern);
        Url::parse(&format!("https://{name}"))
            .is_ok_and(|url| url.host_str() == Some(name) && !name.contains('*'))
    };
    match patterns.iter().position(|pattern| !is_host(pattern)) {
        None => Ok(()),
        // An address in place of a host name may contain a password or a signature.
        Some(index) => Err(ConfigError::value(
            format!("bynder.storage_hosts[{index}]"),
            "is not a host; write a name in lower case such as \"*.amazonaws.com\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use toml::Table;

    use super::*;
    use imatag::Profile;

    const SAMPLE: &str = "
        bynder = { domain = 'acme.bynder.com', hash_metaproperty = 'h', oauth = { client_id = 'a', client_secret = 'b' } }
        imatag = { directory = 'acme', profile_overrides = {}, oauth = { client_id = 'a', client_secret = 'b' } }";

    /// The dotted keys of this format in the schema.
    fn keys_of_format(format: &str, root: &Value, at: &Value, key: &str, found: &mut Vec<String>) {
        if at["format"] == format {
            found.push(key.to_owned());
        }
        if let Some(name) = at["$ref"].as_str() {
            keys_of_format(format, root, root.pointer(name.trim_start_matches('#')).unwrap(), key, found);
        }
        for below in at["anyOf"].as_array().into_iter().flatten().chain(at.get("items")) {
            keys_of_format(format, root, below, key, found);
        }
        for (name, below) in at["properties"].as_object().into_iter().flatten() {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            keys_of_format(format, root, below, &key, found);
        }
    }

    fn addresses_in(schema: schemars::Schema) -> Vec<String> {
        let (root, mut found) = (schema.to_value(), Vec::new());
        keys_of_format("uri", &root, &root, "", &mut found);
        found
    }

    /// The error for the sample with this address at this key.
    fn said(key: &str, address: &str) -> String {
        let mut table: Table = SAMPLE.parse().unwrap();
        let (sections, last) = key.rsplit_once('.').unwrap();
        let mut section = &mut table;
        for name in sections.split('.') {
            let below = section.entry(name).or_insert_with(|| Table::new().into());
            section = below.as_table_mut().unwrap();
        }
        section.insert(last.to_owned(), address.into());
        let read = Config::parse(&table.to_string());
        let used = read.and_then(|config| config.imatag.wire().and(config.notify.webhook_url()));
        used.map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn hosts_of_storage_are_names_and_not_addresses() {
        let said = |host: &str| storage_hosts(&[host.to_owned()]).map_err(|error| error.to_string());
        for host in ["*.amazonaws.com", "files.example.com", "10.0.0.1"] {
            assert_eq!(said(host), Ok(()));
        }
        for host in [
            "https://files.example.com",
            "files.example.com/f",
            "files.example.com:443",
            "",
            "*",
            "Files.example",
            "user:s3cr3t@files.example.com",
        ] {
            let said = said(host).unwrap_err();
            assert!(said.starts_with("bynder.storage_hosts[0]: is not a host"), "{host}: {said}");
            assert!(!said.contains("s3cr3t"), "{said}");
        }
    }

    #[test]
    fn bynder_has_no_address_for_tokens_since_the_portal_issues_them() {
        let said = said("bynder.oauth.token_url", "https://auth.example.com");
        assert!(said.starts_with("unknown key bynder.oauth.token_url"), "{said}");
    }

    #[test]
    fn every_address_of_configuration_and_profile_is_kept_from_plain_text_and_from_passwords() {
        let configured = addresses_in(super::super::schema());
        let profile = addresses_in(schemars::schema_for!(Profile));
        assert!(configured.len() >= 3 && profile.len() >= 2, "{configured:?} {profile:?}");
        let keys = configured.iter().cloned().map(|key| (key.clone(), key));
        let inside = profile
            .iter()
            .map(|key| (format!("imatag.profile_overrides.{key}"), format!("imatag.profile ({key})")));
        let others = ["bynder.domain", "notify.webhook"].map(|key| (key.to_owned(), key.to_owned()));
        for (key, named) in keys.chain(inside).chain(others) {
            for (address, wanted) in [
                ("http://auth.example.com", "must use https"),
                ("ftp://auth.example.com", "must use https"),
                ("https://user:word@auth.example.com", "must hold no user and no password"),
                ("http://user@127.0.0.1", "must hold no user and no password"),
                ("https://auth.example.com/#s3cr3t", "must hold no fragment"),
                ("https://auth.example.com/?a=s3cr3t#s3cr3t", "must hold no fragment"),
            ] {
                let said = said(&key, address);
                assert!(said.starts_with(&format!("{named}: {wanted}")), "{key} = {address}: {said:?}");
                assert!(!said.contains("s3cr3t"), "{said}");
            }
            // These are complete and may have a query; they are used unchanged.
            let is_whole = key.ends_with("token_url") || key == "notify.webhook";
            let said_of_query = said(&key, "https://auth.example.com/?a=s3cr3t");
            let wanted = if is_whole { "" } else { "must hold no query: leave out what follows ?" };
            assert_eq!(said_of_query.trim_start_matches(&format!("{named}: ")), wanted, "{key}");
            for address in ["https://auth.example.com", "http://127.0.0.1:8080"] {
                assert_eq!(said(&key, address), "", "{key} = {address}");
            }
        }
    }
}
