//! From where a request comes, as far as a browser says it truthfully: its `Host`, `Origin` and `Sec-Fetch-Site`.
//!
//! A page of somebody else can have a browser send anything here, and by a name of its own that resolves to this machine
//! (DNS rebinding) it could also read the answer. It cannot choose these headers.

use std::net::{IpAddr, Ipv6Addr};

use url::Url;

/// What a `Host` header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    /// This machine, by a name or an address that never leaves it.
    Loopback,
    /// The host of `page.public_url`.
    Public,
    /// An address, which nobody can point elsewhere as a name in the DNS.
    Address,
    /// Some other name.
    Foreign,
}

/// What this `Host` header names. Its port says nothing: a tunnel or a proxy may have one of its own.
pub(super) fn host(header: &str, public: Option<&Url>) -> Host {
    let Some((name, _)) = parts(header) else { return Host::Foreign };
    let public = public.and_then(Url::host_str).map(|name| name.trim_matches(['[', ']']));
    match name.parse::<IpAddr>().map(|address| address.to_canonical()) {
        _ if name == "localhost" => Host::Loopback,
        Ok(address) if address.is_loopback() => Host::Loopback,
        _ if public == Some(&name) => Host::Public,
        Ok(_) => Host::Address,
        Err(_) => Host::Foreign,
    }
}

/// The name, in small letters and an IPv6 address without its brackets, and the port.
fn parts(authority: &str) -> Option<(String, Option<u16>)> {
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (address, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("")))
        }
        None => match authority.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (authority, Some("")),
        },
    };
    let port = port?;
    let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    (!name.is_empty() && name.chars().all(is_name)).then(|| (name.to_ascii_lowercase(), port))
}

/// Where the request says that it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// On a page of this one.
    Own,
    /// No browser said it.
    Unsaid,
    /// Elsewhere.
    Foreign,
}

/// Judges the headers of a request that changes something. A proxy may have replaced the public name in `host`.
pub(super) fn origin(host: &str, public: Option<&Url>, origin: Option<&str>, site: Option<&str>) -> Origin {
    let is_public =
        |origin: &str| public.is_some_and(|public| public.origin().ascii_serialization() == origin);
    let is_own = |origin: &str| is_same(host, origin) || is_public(origin);
    if site.is_some_and(|site| site != "same-origin") || origin.is_some_and(|origin| !is_own(origin)) {
        return Origin::Foreign;
    }
    if origin.is_some() || site.is_some() { Origin::Own } else { Origin::Unsaid }
}

/// Whether an `Origin` is that of this `Host`. A proxy may have taken TLS away, so the scheme says only which port is the usual one.
fn is_same(host: &str, origin: &str) -> bool {
    let (origin, usual) = match origin.split_once("://") {
        Some(("https", origin)) => (origin, 443),
        Some(("http", origin)) => (origin, 80),
        _ => return false,
    };
    let usual_or = |port: Option<u16>| port.unwrap_or(usual);
    match (parts(host), parts(origin)) {
        (Some((host, here)), Some((origin, there))) => host == origin && usual_or(here) == usual_or(there),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public() -> Url {
        "https://connector.example:8443".parse().unwrap()
    }

    #[test]
    fn only_names_that_nobody_else_can_have_are_this_page() {
        for (header, expected) in [
            ("localhost", Host::Loopback),
            ("LOCALHOST:9999", Host::Loopback),
            ("127.0.0.1:8088", Host::Loopback),
            ("127.9.9.9", Host::Loopback),
            ("[::1]:8088", Host::Loopback),
            ("[::ffff:127.0.0.1]", Host::Loopback),
            ("connector.example", Host::Public),
            ("Connector.Example:8443", Host::Public),
            ("10.0.0.5:8080", Host::Address),
            ("[2001:db8::1]", Host::Address),
            ("evil.example", Host::Foreign),
            ("localhost.evil.example", Host::Foreign),
            ("connector.example.evil.example", Host::Foreign),
            ("evil.example@localhost", Host::Foreign),
            ("localhost:8080:8080", Host::Foreign),
            ("localhost:99999", Host::Foreign),
            ("[::1", Host::Foreign),
            ("[::1]x", Host::Foreign),
            ("[evil.example]", Host::Foreign),
            ("", Host::Foreign),
            (":80", Host::Foreign),
        ] {
            assert_eq!(host(header, Some(&public())), expected, "{header:?}");
        }
        assert_eq!(host("connector.example", None), Host::Foreign);
        assert_eq!(host("[2001:db8::1]", Some(&"https://[2001:db8::1]".parse().unwrap())), Host::Public);
    }

    #[test]
    fn a_change_comes_from_this_page_or_is_foreign() {
        const HOST: &str = "connector.example:8443";
        for (host, from, site, expected) in [
            (HOST, Some("https://connector.example:8443"), Some("same-origin"), Origin::Own),
            (HOST, Some("https://Connector.example:8443"), None, Origin::Own),
            (HOST, None, Some("same-origin"), Origin::Own),
            (HOST, None, None, Origin::Unsaid),
            ("connector.example", Some("https://connector.example"), None, Origin::Own),
            ("connector.example", Some("https://connector.example:443"), None, Origin::Own),
            ("connector.example:80", Some("http://connector.example"), None, Origin::Own),
            ("[::1]:80", Some("http://[::1]"), None, Origin::Own),
            ("10.0.0.5:8080", Some("https://connector.example:8443"), Some("same-origin"), Origin::Own),
            (HOST, Some("https://evil.example"), None, Origin::Foreign),
            (HOST, Some("https://evil.example"), Some("same-origin"), Origin::Foreign),
            (HOST, Some("https://connector.example:8443"), Some("cross-site"), Origin::Foreign),
            (HOST, Some("https://connector.example:8443"), Some("same-site"), Origin::Foreign),
            (HOST, Some("https://connector.example:8443"), Some("none"), Origin::Foreign),
            (HOST, Some("https://connector.example"), None, Origin::Foreign),
            (HOST, Some("https://connector.example:8444"), None, Origin::Foreign),
            (HOST, Some("https://connector.example:8443.evil.example"), None, Origin::Foreign),
            (HOST, Some("null"), None, Origin::Foreign),
            (HOST, Some(""), None, Origin::Foreign),
            (HOST, Some("file://"), None, Origin::Foreign),
            (HOST, Some("connector.example:8443"), None, Origin::Foreign),
        ] {
            assert_eq!(origin(host, Some(&public()), from, site), expected, "{host} {from:?} {site:?}");
        }
    }
}
