//! Who may read the page, and who may act on it.
//!
//! The decision ([`decide`]) is pure; the middleware around it reads the headers and answers. What a request was allowed as is in
//! its extensions: [`Visitor`]. An act takes [`Signed`], a form of a session, or [`Holder`], a request with a token.

mod attempts;
mod cookie;
mod decide;
mod extract;
mod origin;
mod refusal;
mod sessions;
mod tokens;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use config::PageSection;
use url::Url;

use crate::frame::Viewer;
use attempts::Attempts;
use decide::{Asked, By, Rules, What, decide};
use origin::{Host, host, origin};
use refusal::refuse;
use sessions::Sessions;
use tokens::Tokens;

pub(crate) use extract::{Holder, Signed};
pub(crate) use refusal::to_sign_in;
pub(crate) use sessions::Session;

/// The longest form or JSON text that is read.
const LONGEST_BODY: usize = 64 << 10;
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What the page to sign in needs, too.
const STYLE: &str = "/page.css";
pub(crate) const SIGN_IN: &str = "/login";
pub(crate) const SIGN_OUT: &str = "/logout";

/// As whom a request was allowed.
#[derive(Debug, Clone)]
pub(crate) enum Visitor {
    Anyone,
    Session(Session),
    /// A program, with this name's token.
    Token(Arc<str>),
}

/// The access to one page; clones share its sessions.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rules: Rules,
    public: Option<Url>,
    tokens: Tokens,
    sessions: Mutex<Sessions>,
    attempts: Mutex<Attempts>,
}

/// Why a person is not signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSignedIn {
    WrongToken,
    /// Too many wrong ones; try again after this time.
    Wait(Duration),
    /// The connection may be read by others.
    NotPrivate,
}

impl Access {
    /// # Errors
    /// A token cannot be read.
    pub(crate) fn new(page: &PageSection) -> Result<Self, config::ConfigError> {
        let tokens = page.named_tokens()?.into_iter().map(|named| (named.name, named.token));
        let tokens = Tokens::new(tokens.collect());
        let is_loopback = page.listen.is_none_or(|listen| listen.ip().to_canonical().is_loopback());
        let rules = Rules { is_loopback, has_tokens: !tokens.is_empty() };
        let (sessions, attempts) = (Mutex::default(), Mutex::default());
        let public = page.public_url.clone();
        Ok(Self { shared: Arc::new(Shared { rules, public, tokens, sessions, attempts }) })
    }

    /// Puts these rules in front of all routes.
    pub(crate) fn guard<S: Clone + Send + Sync + 'static>(&self, routes: Router<S>) -> Router<S> {
        routes.layer(DefaultBodyLimit::max(LONGEST_BODY)).layer(from_fn_with_state(self.clone(), guard))
    }

    pub(crate) fn has_tokens(&self) -> bool {
        self.shared.rules.has_tokens
    }

    /// Whether a token may be typed in here: on this machine, or at the public address, which has TLS.
    pub(crate) fn is_private(&self, headers: &HeaderMap) -> bool {
        matches!(self.host(headers), Host::Loopback | Host::Public)
    }

    /// Begins a session for the owner of this token; returns its cookie.
    pub(crate) fn sign_in(
        &self,
        token: &str,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<HeaderValue, NotSignedIn> {
        if !self.is_private(headers) {
            return Err(NotSignedIn::NotPrivate);
        }
        let name = match self.owner(token, peer) {
            By::Token(name) => name,
            By::Guesser => {
                let wait = lock(&self.shared.attempts).wait(peer, Instant::now());
                return Err(NotSignedIn::Wait(wait.unwrap_or_default()));
            }
            By::Stranger | By::Anyone | By::Session(_) => return Err(NotSignedIn::WrongToken),
        };
        tracing::info!(name = &*name, from = %peer, "signed in at the operator's page");
        let id = lock(&self.shared.sessions).begin(name, Instant::now());
        Ok(self.cookie(headers).made(&id))
    }

    /// Ends the session of this request; returns the cookie that replaces its own.
    pub(crate) fn sign_out(&self, headers: &HeaderMap) -> HeaderValue {
        let cookie = self.cookie(headers);
        if let Some(id) = cookie.find(headers) {
            lock(&self.shared.sessions).end(id);
        }
        cookie.deleted()
    }

    fn cookie(&self, headers: &HeaderMap) -> cookie::Name {
        let is_secure = self.host(headers) == Host::Public
            && self.shared.public.as_ref().is_some_and(|public| public.scheme() == "https");
        cookie::Name::new(one(headers, &HOST).unwrap_or_default(), is_secure)
    }

    fn host(&self, headers: &HeaderMap) -> Host {
        host(one(headers, &HOST).unwrap_or_default(), self.shared.public.as_ref())
    }

    /// Whose token this is. A wrong one counts, and is logged, unless too many came from there.
    fn owner(&self, token: &str, peer: IpAddr) -> By {
        // A right token is known however many wrong ones came from its address, which may be that of a proxy: otherwise one
        // person behind it could lock out all others. Guessing is bounded by the length of a token, which the configuration
        // enforces, and the comparison takes the same time for every wrong one.
        if let Some(name) = self.shared.tokens.name_of(token) {
            return By::Token(name);
        }
        let now = Instant::now();
        let mut attempts = lock(&self.shared.attempts);
        if attempts.wait(peer, now).is_some() {
            return By::Guesser;
        }
        attempts.note_wrong(peer, now);
        tracing::warn!(from = %peer, "a wrong token was tried at the operator's page");
        By::Stranger
    }

    fn by(&self, headers: &HeaderMap, peer: IpAddr) -> By {
        // A proxy may have a password of its own in this header.
        let bearer = one(headers, &AUTHORIZATION).and_then(|value| value.split_once(' '));
        if let Some((_, token)) = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer")) {
            return self.owner(token.trim(), peer);
        }
        let id = self.cookie(headers);
        let session = id.find(headers).and_then(|id| lock(&self.shared.sessions).find(id, Instant::now()));
        session.map_or(By::Anyone, By::Session)
    }

    fn asked(&self, request: &Request) -> Asked {
        let headers = request.headers();
        // Two of them could be judged by one and used by the other.
        let said = |name| one(headers, name).or_else(|| headers.contains_key(name).then_some(""));
        let (from, site) = (said(&ORIGIN), said(&FETCH_SITE));
        let host = one(headers, &HOST).unwrap_or_default();
        Asked {
            host: self.host(headers),
            origin: origin(host, self.shared.public.as_ref(), from, site),
            what: what(request.method(), request.uri().path()),
            by: self.by(headers, peer(request)),
        }
    }
}

impl Visitor {
    /// What the forms of this visitor contain; `None` if there is no session, and so no form.
    pub(crate) fn csrf(&self) -> Option<String> {
        match self {
            Self::Session(session) => Some(session.csrf.to_string()),
            Self::Anyone | Self::Token(_) => None,
        }
    }
}

fn what(method: &Method, path: &str) -> What {
    match (*method == Method::GET || *method == Method::HEAD, path) {
        (true, SIGN_IN | STYLE) => What::Door,
        (true, _) => What::Read,
        (false, SIGN_IN | SIGN_OUT) => What::Enter,
        (false, _) => What::Act,
    }
}

async fn guard(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let asked = access.asked(&request);
    if let Err(refusal) = decide(access.shared.rules, &asked) {
        return refuse(refusal, &request);
    }
    let visitor = match asked.by {
        By::Session(session) => Visitor::Session(session),
        By::Token(name) => Visitor::Token(name),
        By::Anyone | By::Stranger | By::Guesser => Visitor::Anyone,
    };
    let name = match &visitor {
        Visitor::Session(session) => Some(session.name.to_string()),
        Visitor::Token(_) | Visitor::Anyone => None,
    };
    request.extensions_mut().insert(Viewer { name, may_sign_in: access.has_tokens() });
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

/// The machine at the other end of the connection.
fn peer(request: &Request) -> IpAddr {
    request.extensions().get().map_or(Ipv4Addr::UNSPECIFIED.into(), SocketAddr::ip)
}

/// The value of a header that occurs once, as text.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
