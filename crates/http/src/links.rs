//! Decides which links in responses are followed, and to which addresses.
//!
//! A compromised service could send this machine to its neighbours: a cloud's metadata, a database, the other
//! containers of the composition. So a link that leaves the configured origins has to lead to a public address,
//! unless the service itself is in the same zone.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::redact::Redactor;
use super::zone::{LOCALHOST, Zone, is_loopback};
use super::{Sent, TransportError, excerpt};
use common::prose::prose;

/// The services of the configuration, and the other hosts that requests may go to.
#[derive(Debug, Clone)]
pub struct Services {
    /// Their addresses.
    pub urls: Vec<Url>,
    /// Where tokens are issued, if elsewhere. Only this address is requested there, and links to its neighbours are
    /// refused.
    pub token_url: Option<Url>,
    /// Whether plain http to another machine is allowed.
    pub allow_http: bool,
    /// The hosts that responses may link to, besides the services' own.
    pub link_hosts: LinkHosts,
}

/// Hosts that responses may link to: names, or `*.` and the end of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkHosts {
    /// All hosts.
    Any,
    /// All hosts; the first that is not one of these is logged.
    Usual(Vec<String>),
    /// Only these hosts.
    Only(Vec<String>),
}

/// Where requests may go without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    Nowhere,
    ThisMachine,
    Anywhere,
}

impl Services {
    pub(super) fn plain(&self) -> Plain {
        let here =
            self.urls.iter().chain(&self.token_url).any(|url| url.scheme() == "http" && is_loopback(url));
        match (self.allow_http, here) {
            (true, _) => Plain::Anywhere,
            (false, true) => Plain::ThisMachine,
            (false, false) => Plain::Nowhere,
        }
    }
}

/// Decides on links; clones share what is known of the services.
#[derive(Debug, Clone)]
pub(super) struct Links {
    services: Arc<Services>,
    warned: Arc<AtomicBool>,
    /// The zones in which each service was found when a request to it connected, in the services' order.
    seen: Arc<Mutex<Vec<Vec<Zone>>>>,
}

impl Links {
    pub(super) fn of(services: &Services) -> Self {
        let seen = Mutex::new(vec![Vec::new(); services.urls.len()]);
        Self { services: Arc::new(services.clone()), warned: Arc::default(), seen: Arc::new(seen) }
    }

    /// Whether the address is at the origin of a service, or where its tokens are issued.
    pub(super) fn is_service(&self, url: &Url) -> bool {
        let services = &self.services;
        services.urls.iter().any(|service| service.origin() == url.origin())
            || services.token_url.as_ref() == Some(url)
    }

    /// Fails for an address that a request, `signed` or not, must not go to. Host names are resolved and checked
    /// when the request is sent.
    pub(super) fn check(&self, url: &Url, signed: bool) -> Result<(), TransportError> {
        if self.is_service(url) {
            return Ok(());
        }
        let shown = shown_host(url);
        let refused = |why: &str| Err(refused(&shown, why));
        let plain = match self.services.plain() {
            Plain::Nowhere => false,
            Plain::ThisMachine => is_loopback(url),
            Plain::Anywhere => true,
        };
        if !(url.scheme() == "https" || (url.scheme() == "http" && plain)) {
            return refused("is not https");
        }
        // When a request is built, a user in its link becomes a header.
        if signed || !url.username().is_empty() || url.password().is_some() {
            return refused("would get a user or a password");
        }
        if !self.is_at_expected_host(url, &shown) {
            return refused("is at a host that bynder.storage_hosts does not name");
        }
        if let Some(zone) = zone_of(url)
            && !self.admits(zone)
        {
            return refused(NEIGHBOUR);
        }
        Ok(())
    }

    fn is_at_expected_host(&self, url: &Url, shown: &str) -> bool {
        let host = url.host_str().unwrap_or_default();
        let is_among = |hosts: &[String]| {
            self.services.urls.iter().any(|service| service.host_str() == Some(host))
                || hosts.iter().any(|pattern| matches(pattern, host))
        };
        match &self.services.link_hosts {
            LinkHosts::Any => true,
            LinkHosts::Only(hosts) => is_among(hosts),
            LinkHosts::Usual(hosts) => {
                if !is_among(hosts) && !self.warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        host = shown,
                        "storage is at an unusual host; name it in bynder.storage_hosts if it is right"
                    );
                }
                true
            }
        }
    }

    /// Whether the zone is public, or the only one in which a service was found. A further public address of a
    /// service's name, or a resolver that alternates its answers, gains nothing.
    fn admits(&self, zone: Zone) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut services = self.services.urls.iter().zip(seen.iter());
        zone == Zone::Public
            || services
                .any(|(service, seen)| zone_of(service).or_else(|| only(seen.iter().copied())) == Some(zone))
    }

    /// Records the zone of a service that a request is about to connect to.
    fn note(&self, name: &str, found: &[SocketAddr]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (service, seen) in self.services.urls.iter().zip(seen.iter_mut()) {
            for zone in found.iter().map(|found| Zone::of(found.ip())) {
                if service.host_str() == Some(name) && !seen.contains(&zone) {
                    seen.push(zone);
                }
            }
        }
    }

    async fn resolved(self, name: String) -> std::io::Result<Vec<SocketAddr>> {
        let mut found = lookup(&name).await?;
        found.retain(|address| self.admits(Zone::of(address.ip())));
        if found.is_empty() {
            return Err(std::io::Error::other(refused(&shown_name(&name), NEIGHBOUR).reason));
        }
        Ok(found)
    }
}

const NEIGHBOUR: &str = "leads to this machine or its neighbours, where the service itself is not";

impl Resolve for Links {
    fn resolve(&self, name: Name) -> Resolving {
        let (links, name) = (self.clone(), name.as_str().to_owned());
        Box::pin(async move { Ok(Box::new(links.resolved(name).await?.into_iter()) as Addrs) })
    }
}

/// Resolves the services' names and records their zones.
pub(super) struct ServiceNames(pub(super) Links);

impl Resolve for ServiceNames {
    fn resolve(&self, name: Name) -> Resolving {
        let (links, name) = (self.0.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let found = lookup(&name).await?;
            links.note(&name, &found);
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

async fn lookup(name: &str) -> std::io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

/// The one zone of all, if they have the same.
fn only(mut zones: impl Iterator<Item = Zone>) -> Option<Zone> {
    let first = zones.next()?;
    zones.all(|zone| zone == first).then_some(first)
}

/// The host of a link that a service chose, without parts that look like code or like the link's signature.
pub(super) fn shown_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    if Redactor::of_link(url).is_in(host) { "…".to_owned() } else { shown_name(host) }
}

fn shown_name(host: &str) -> String {
    excerpt(&prose(&host.replace('.', " ")).replace(' ', "."))
}

/// The zone of an address that needs no resolver.
fn zone_of(url: &Url) -> Option<Zone> {
    match url.host()? {
        Host::Ipv4(address) => Some(Zone::of(IpAddr::V4(address))),
        Host::Ipv6(address) => Some(Zone::of(IpAddr::V6(address))),
        Host::Domain(name) => is_this_machine(name).then_some(Zone::ThisMachine),
    }
}

/// As in RFC 6761, 6.3. A proxy that resolves such a name would also lead to a neighbour of its own.
fn is_this_machine(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == LOCALHOST || name.strip_suffix(LOCALHOST).is_some_and(|sub| sub.ends_with('.'))
}

fn refused(host: &str, why: &str) -> TransportError {
    TransportError { sent: Sent::No, reason: format!("the link to {host} is not followed: it {why}") }
}

fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(end) => host.len() > end.len() && host.ends_with(end),
        None => host == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(service: &str, link_hosts: LinkHosts) -> Links {
        let urls = vec![service.parse().unwrap()];
        Links::of(&Services { urls, token_url: None, allow_http: false, link_hosts })
    }

    fn said(links: &Links, url: &str) -> String {
        links.check(&url.parse().unwrap(), false).map_or_else(|error| error.reason, |()| String::new())
    }

    const AWAY: &str = "https://93.184.216.34/";

    #[test]
    fn a_link_leads_to_no_neighbour_in_no_notation_unless_the_service_is_there() {
        let (away, here) = (links(AWAY, LinkHosts::Any), links("http://127.0.0.1:8080/", LinkHosts::Any));
        for near in [
            "https://127.0.0.1/f?signature=s",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://localhost/",
            "https://localhost./",
            "https://Files.localhost./",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://0.0.0.0/",
        ] {
            let said_away = said(&away, near);
            assert!(
                said_away.contains("neighbours") && !said_away.contains("signature"),
                "{near}: {said_away}"
            );
            assert_eq!(said(&here, near), "", "{near}");
        }
        for near in [
            "https://169.254.169.254/latest",
            "https://10.0.0.1/",
            "https://[fd00:ec2::254]/",
            "https://[fe80::1]/",
        ] {
            assert!(said(&away, near).contains("neighbours"), "{near}");
            assert!(said(&here, near).contains("neighbours"), "{near}: the service is elsewhere");
        }
        assert_eq!(said(&links("https://10.0.0.7/", LinkHosts::Any), "https://192.168.0.1/"), "");
    }

    #[test]
    fn where_tokens_come_from_opens_no_way_to_its_neighbours() {
        for token_url in ["https://10.0.0.7/token?a=b", "http://127.0.0.1:8080/token"] {
            let services = Services {
                urls: vec![AWAY.parse().unwrap()],
                token_url: Some(token_url.parse().unwrap()),
                allow_http: false,
                link_hosts: LinkHosts::Any,
            };
            let links = Links::of(&services);
            assert!(links.check(&token_url.parse().unwrap(), true).is_ok(), "{token_url}");
            for near in
                ["https://10.0.0.7/", "https://10.0.0.8/", "http://127.0.0.1:8080/", "https://127.0.0.1/"]
            {
                assert!(!said(&links, near).is_empty(), "{near} beside {token_url}");
            }
        }
    }

    #[test]
    fn a_link_is_https_without_user_and_a_configured_address_is_none() {
        let away = links(AWAY, LinkHosts::Any);
        for (url, wanted) in [
            ("http://storage.example/", "is not https"),
            ("ftp://storage.example/", "is not https"),
            ("https://user:word@storage.example/", "a user or a password"),
            ("https://storage.example/", ""),
            (AWAY, ""),
        ] {
            assert!(said(&away, url).contains(wanted), "{url}");
            assert_eq!(said(&away, url).is_empty(), wanted.is_empty(), "{url}");
        }
        assert!(
            said(&links("http://127.0.0.1/", LinkHosts::Any), "http://storage.example/")
                .contains("not https")
        );
    }

    #[test]
    fn hosts_that_are_named_are_the_only_ones_besides_the_services_own() {
        let hosts = || vec!["*.amazonaws.com".to_owned(), "files.example.com".to_owned()];
        let (only, usual) = (links(AWAY, LinkHosts::Only(hosts())), links(AWAY, LinkHosts::Usual(hosts())));
        for (url, is_named) in [
            ("https://bucket.s3.amazonaws.com/f", true),
            ("https://BUCKET.s3.AmazonAWS.com/f", true),
            ("https://files.example.com/f", true),
            ("https://93.184.216.34:8443/f", true),
            ("https://amazonaws.com/f", false),
            ("https://evilamazonaws.com/f", false),
            ("https://amazonaws.com.example.org/f", false),
            ("https://a.files.example.com/f", false),
        ] {
            assert_eq!(said(&only, url).is_empty(), is_named, "{url}");
            assert_eq!(said(&usual, url), "", "{url}");
            assert_eq!(usual.warned.swap(false, Ordering::Relaxed), !is_named, "{url}");
        }
    }

    #[test]
    fn a_zone_is_open_to_links_only_where_the_service_is_nowhere_else() {
        use Zone::{LinkLocal, Private, Public};
        for (found, wanted) in [
            (&[Private, Private][..], Some(Private)),
            (&[Public, Private], None),
            (&[Private, LinkLocal], None),
            (&[], None),
        ] {
            assert_eq!(only(found.iter().copied()), wanted, "{found:?}");
        }
    }

    #[test]
    fn a_zone_stays_closed_once_the_service_was_found_elsewhere() {
        let links = links("https://portal.example/", LinkHosts::Any);
        let near = "https://10.0.0.6/";
        assert!(said(&links, near).contains("neighbours"), "not found yet");
        let found =
            |name: &str, address: &str| links.note(name, &[SocketAddr::new(address.parse().unwrap(), 0)]);
        found("portal.example", "10.0.0.7");
        assert_eq!(said(&links, near), "");
        found("proxy.example", "93.184.216.34");
        assert_eq!(said(&links, near), "", "another name");
        found("portal.example", "93.184.216.34");
        found("portal.example", "10.0.0.7");
        assert!(said(&links, near).contains("neighbours"));
    }

    #[test]
    fn of_the_host_of_a_link_no_code_and_no_signature_of_it_is_shown() {
        let away = links("https://93.184.216.34/", LinkHosts::Only(Vec::new()));
        for (url, shown) in [
            ("https://bucket.s3.eu-west-1.amazonaws.com/f", "bucket.s3.eu-west-1.amazonaws.com"),
            ("https://d111111abcdef8.cloudfront.net/f", "….cloudfront.net"),
            ("https://af25c0ffee12.34567890abcdef.example/f", "….example"),
            ("https://opensesameoftheforty.example/f?Signature=OpenSesameOfTheForty", "…"),
            ("https://8.8.8.8/f", "8.8.8.8"),
        ] {
            assert_eq!(shown_host(&url.parse().unwrap()), shown);
            let said = said(&away, url);
            assert!(said.starts_with(&format!("the link to {shown} is not followed")), "{said}");
        }
        let long = format!("https://{}.example/", vec!["word"; 48].join("."));
        assert!(shown_host(&long.parse().unwrap()).chars().count() <= 201);
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_neighbour_is_not_connected_to() {
        let resolve =
            async |service: &str| links(service, LinkHosts::Any).resolved("localhost".to_owned()).await;
        assert!(resolve(AWAY).await.unwrap_err().to_string().contains("neighbours"));
        assert!(resolve("https://10.0.0.1").await.is_err(), "another zone");
        assert!(!resolve("http://localhost:8080/").await.unwrap().is_empty());
    }
}
