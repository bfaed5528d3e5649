//! A bounded HTTP server: `axum::serve` bounds neither the number nor the duration of connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use common::failure::Failure;

/// Maximum concurrent connections; more wait until one ends.
pub(crate) const MOST_CONNECTIONS: usize = 64;
/// How long a client may take for the head of a request, including the time between two requests.
pub(crate) const LONGEST_HEAD: Duration = Duration::from_secs(30);
/// How long a request may take from its head to the head of its response, its body included.
pub(crate) const LONGEST_REQUEST: Duration = Duration::from_secs(30);
/// Maximum duration of a connection, so that a client that does not read the response frees its permit.
pub(crate) const LONGEST_CONNECTION: Duration = Duration::from_mins(5);
/// How long to wait after `accept` has failed, for example for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How many requests a connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    /// Any number: for a client that asks again and again.
    Kept,
    /// One, so that the end of a long connection cuts no request short.
    Single,
}

/// Listens, and serves in the background until `stop`. Returns the address, with the actual port if port 0 was given.
///
/// # Errors
/// The address cannot be listened on; `key` is its key in the configuration.
pub async fn serve_router(
    key: &'static str,
    listen: SocketAddr,
    router: Router,
    connections: Connections,
    stop: CancellationToken,
) -> Result<SocketAddr, Failure> {
    let refused = |error: std::io::Error| {
        Failure::Configuration(format!(
            "{key}: cannot listen on {listen}: {error}; each process on a machine needs an address of its own"
        ))
    };
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    tasks::lasting(async move {
        let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let router = router.layer(middleware::from_fn(in_time));
        let serving = Serving { key, router, connections, permits, shutdown: GracefulShutdown::new() };
        stop.run_until_cancelled(serving.accept_all(&listener)).await;
        drop(listener);
        serving.shutdown.shutdown().await;
    });
    Ok(address)
}

/// Ends a request whose body comes in slowly, so that few clients cannot hold all permits.
async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, [(header::CONNECTION, "close")]).into_response(),
    }
}

struct Serving {
    key: &'static str,
    router: Router,
    connections: Connections,
    permits: Arc<Semaphore>,
    shutdown: GracefulShutdown,
}

impl Serving {
    async fn accept_all(&self, listener: &TcpListener) {
        // The semaphore is never closed.
        while let Ok(place) = Arc::clone(&self.permits).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let answered = self.answer(stream, peer);
                    tasks::brief(async move {
                        answered.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, key = self.key, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Each request has the peer's address as an extension.
    fn answer(&self, stream: TcpStream, peer: SocketAddr) -> impl Future<Output = ()> + use<> {
        let mut protocol = http1::Builder::new();
        protocol.timer(TokioTimer::new()).header_read_timeout(LONGEST_HEAD);
        protocol.keep_alive(self.connections == Connections::Kept);
        let service = TowerToHyperService::new(self.router.clone().layer(Extension(peer)));
        let connection = protocol.serve_connection(TokioIo::new(stream), service);
        let watched = self.shutdown.watch(connection);
        // The result is ignored: it concerns only the client.
        async move { drop(tokio::time::timeout(LONGEST_CONNECTION, watched).await) }
    }
}
