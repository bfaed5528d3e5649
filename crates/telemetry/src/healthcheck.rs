//! The command `healthcheck`: asks another process whether it is healthy, for containers without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use common::failure::Failure;
use http_client::TransportError;

/// A process that takes longer to respond is unhealthy.
const PATIENCE: Duration = Duration::from_secs(3);

/// Requests `/healthz` from the process that listens at this address.
pub async fn healthcheck(listen: SocketAddr) -> Result<(), Failure> {
    let url = format!("http://{}/healthz", reachable(listen));
    let client = http_client::local_client(PATIENCE)?;
    let reason = match client.get(&url).send().await {
        Ok(answer) if answer.status().is_success() => return Ok(()),
        Ok(answer) => format!("the answer was {}", answer.status()),
        Err(error) => TransportError::from_reqwest(&error).reason,
    };
    Err(Failure::Temporary(format!("not healthy: {url}: {reason}")))
}

/// Replaces an unspecified address, which listens on all interfaces, by the loopback address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, listen.port())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::super::{Metrics, Readiness, serve};
    use super::*;

    const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    async fn unhealthy(listen: SocketAddr) -> String {
        match healthcheck(listen).await {
            Err(Failure::Temporary(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_process_that_listens_on_every_address_is_found_on_this_machine() {
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let stop = CancellationToken::new();
        let address = serve(everywhere, Metrics::new(), Readiness::default(), stop).await.unwrap();
        assert!(address.ip().is_unspecified());
        healthcheck(address).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_there_is_unhealthy_for_now() {
        let listener = TcpListener::bind(ANYWHERE).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let reason = unhealthy(address).await;
        assert!(reason.contains(&format!("http://{address}/healthz: ")), "{reason}");
    }

    #[tokio::test]
    async fn a_redirect_is_unhealthy_and_not_followed() {
        let elsewhere = TcpListener::bind(ANYWHERE).await.unwrap();
        let target = format!("http://{}/", elsewhere.local_addr().unwrap());
        let redirect =
            axum::Router::new().fallback(async move || axum::response::Redirect::temporary(&target));
        let listener = TcpListener::bind(ANYWHERE).await.unwrap();
        let address = listener.local_addr().unwrap();
        tasks::brief(async move { axum::serve(listener, redirect).await });
        let reason = unhealthy(address).await;
        assert!(reason.contains("307"), "{reason}");
        assert!(elsewhere.accept().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_unhealthy() {
        let listener = TcpListener::bind(ANYWHERE).await.unwrap();
        unhealthy(listener.local_addr().unwrap()).await;
    }

    #[test]
    fn an_unspecified_address_is_asked_where_it_can_be_reached() {
        let asked = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9090"), "127.0.0.1:9090");
        assert_eq!(asked("[::]:9090"), "[::1]:9090");
        assert_eq!(asked("10.0.0.7:9090"), "10.0.0.7:9090");
    }
}
