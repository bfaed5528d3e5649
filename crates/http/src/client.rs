//! Builds the HTTP clients that all requests use, with their proxies.
//!
//! The clients use https only, unless the configuration allows http or names a service on this machine. Proxies
//! come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; trusted certificates from the system,
//! `SSL_CERT_FILE` or `SSL_CERT_DIR`. Requests to this machine never use a proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder};
use rustls::crypto::ring;
use url::Url;

use super::TransportError;
use super::authorities::authorities;
use super::links::{LinkHosts, Links, Plain, ServiceNames, Services};
use super::zone::{LOCALHOST, is_loopback};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One client for this machine, one for all other hosts, and one for links whose names no proxy resolves; clones
/// share the connections.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    local: Client,
    remote: Client,
    linked: Client,
    links: Links,
    proxies: Arc<Matcher>,
}

impl Clients {
    pub(super) fn new(services: &Services, timeout: Duration) -> Result<Self, TransportError> {
        let trusted: Result<Vec<_>, _> =
            authorities()?.iter().map(|certificate| Certificate::from_der(certificate)).collect();
        let trusted = trusted.map_err(|error| TransportError::from_reqwest(&error))?;
        let (plain, links) = (services.plain(), Links::of(services));
        let builder = || {
            client_builder()
                .redirect(reqwest::redirect::Policy::none())
                .tls_certs_only(trusted.iter().cloned())
                .connect_timeout(CONNECT_TIMEOUT.min(timeout))
                .user_agent(concat!("bynder-imatag-connector/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Self {
            local: built(
                builder().no_proxy().dns_resolver(Arc::new(ThisMachine)).https_only(plain == Plain::Nowhere),
            )?,
            remote: built(
                builder()
                    .dns_resolver(Arc::new(ServiceNames(links.clone())))
                    .https_only(plain != Plain::Anywhere),
            )?,
            linked: built(
                builder().no_proxy().dns_resolver(links.clone()).https_only(plain != Plain::Anywhere),
            )?,
            links,
            // The client reads the same variables; this copy only finds the proxy's name for errors.
            proxies: Arc::new(Matcher::from_system()),
        })
    }

    /// A client to build requests with; the request's address decides which client sends it.
    pub(super) fn any(&self) -> &Client {
        &self.remote
    }

    /// The client for this address; fails if a request, signed or not, may not go there.
    pub(super) fn for_address(&self, url: &Url, signed: bool) -> Result<&Client, TransportError> {
        self.links.check(url, signed)?;
        Ok(if is_loopback(url) {
            &self.local
        } else if self.links.is_service(url) || self.proxy_of(url).is_some() {
            &self.remote
        } else {
            &self.linked
        })
    }

    /// The proxy for this address, without user and password.
    pub(super) fn proxy_of(&self, url: &Url) -> Option<String> {
        let proxy = self.proxy(url)?;
        Some(proxy.uri().to_string().trim_end_matches('/').to_owned())
    }

    /// The credentials header for this proxy, which the proxy may quote in an error.
    pub(super) fn proxy_authorization(&self, url: &Url) -> Option<String> {
        Some(self.proxy(url)?.basic_auth()?.to_str().ok()?.to_owned())
    }

    fn proxy(&self, url: &Url) -> Option<Intercept> {
        if is_loopback(url) {
            return None;
        }
        self.proxies.intercept(&url.as_str().parse().ok()?)
    }
}

/// Resolves `localhost` to this machine without a resolver, since a request to it may go without TLS.
struct ThisMachine;

impl Resolve for ThisMachine {
    fn resolve(&self, name: Name) -> Resolving {
        let found = match name.as_str() {
            LOCALHOST => Ok([IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)]),
            _ => Err("it is not a name of this machine"),
        };
        let found =
            found.map(|found| Box::new(found.map(|found| SocketAddr::new(found, 0)).into_iter()) as Addrs);
        Box::pin(std::future::ready(found.map_err(Into::into)))
    }
}

/// A client for requests to one service that is neither Bynder nor Imatag. It follows the same rules for proxies, certificates and plain
/// http, and no redirects.
///
/// # Errors
/// The trusted certificates cannot be read, or the address may not be requested.
pub fn service_client(url: &Url, allow_http: bool, timeout: Duration) -> Result<Client, TransportError> {
    let services = Services {
        urls: vec![url.clone()],
        token_url: None,
        allow_http,
        link_hosts: LinkHosts::Only(Vec::new()),
    };
    Ok(Clients::new(&services, timeout)?.for_address(url, true)?.clone())
}

/// A client for requests to another process on this machine, without proxy and certificates.
pub fn local_client(timeout: Duration) -> Result<Client, TransportError> {
    let builder = client_builder().redirect(reqwest::redirect::Policy::none());
    built(builder.no_proxy().tls_certs_only([]).timeout(timeout))
}

/// The broker's and the mail's libraries use ring as well, so that no second implementation of TLS is compiled.
fn client_builder() -> ClientBuilder {
    // Fails if a provider is installed already, which is then used.
    let _ = ring::default_provider().install_default();
    Client::builder()
}

fn built(builder: ClientBuilder) -> Result<Client, TransportError> {
    builder.build().map_err(|error| TransportError::from_reqwest(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(proxy: &str) -> Clients {
        let services =
            Services { urls: Vec::new(), token_url: None, allow_http: false, link_hosts: LinkHosts::Any };
        let matcher = Matcher::builder().all(proxy).no("inside.example").build();
        Clients { proxies: Arc::new(matcher), ..Clients::new(&services, CONNECT_TIMEOUT).unwrap() }
    }

    /// No resolver is asked, so the answer cannot differ; no other name resolves.
    #[tokio::test]
    async fn localhost_is_this_machine_without_asking_a_resolver() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let clients = clients("http://proxy.example");
        let here = client_builder().no_proxy().dns_resolver(Arc::new(ThisMachine)).build().unwrap();
        tasks::brief(async move { while listener.accept().await.is_ok() {} });
        let error = here.get(format!("http://localhost:{port}/")).send().await.unwrap_err();
        assert!(!error.is_connect(), "{error:?}");
        let error = clients.local.get("https://ip6-localhost/").send().await.unwrap_err();
        assert!(format!("{error:?}").contains("not a name of this machine"), "{error:?}");
    }

    #[test]
    fn a_proxy_is_named_without_its_password_and_never_for_this_machine() {
        let clients = clients("http://user:pass@proxy.example:3128");
        let through = |url: &str| clients.proxy_of(&url.parse().unwrap());
        let header = |url: &str| clients.proxy_authorization(&url.parse().unwrap());
        assert_eq!(header("https://acme.bynder.com/api").as_deref(), Some("Basic dXNlcjpwYXNz"));
        assert_eq!(header("http://localhost/"), None);
        assert_eq!(through("https://acme.bynder.com/api").as_deref(), Some("http://proxy.example:3128"));
        for direct in
            ["http://127.0.0.1:8080/", "http://localhost/", "https://[::1]:9/", "https://inside.example/"]
        {
            assert_eq!(through(direct), None, "{direct}");
        }
    }
}
