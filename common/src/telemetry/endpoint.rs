//! The HTTP endpoint of a process that runs on its own: health, readiness, metrics.

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Metrics, Readiness};
use crate::failure::Failure;

/// Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Listens, and answers in the background until `stop`. Returns the address, which tells the port where 0 was asked for.
pub async fn serve(
    listen: SocketAddr,
    metrics: Metrics,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<SocketAddr, Failure> {
    let refused = |error: std::io::Error| {
        Failure::Configuration(format!(
            "http.listen: cannot listen on {listen}: {error}; each process on a machine needs an address of its own"
        ))
    };
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let router = router(metrics, readiness);
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the endpoint for health and metrics broke down");
        }
    });
    Ok(address)
}

fn router(metrics: Metrics, readiness: Readiness) -> Router {
    let measured = move || std::future::ready(([(CONTENT_TYPE, METRICS_TYPE)], metrics.render()));
    let ready = move || std::future::ready(ready(&readiness));
    Router::new()
        .route("/metrics", get(measured))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
}

fn ready(readiness: &Readiness) -> (StatusCode, String) {
    let reasons = readiness.reasons();
    if reasons.is_empty() {
        (StatusCode::OK, "ready".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use crate::job::Lane;

    use super::*;

    struct Bench {
        address: SocketAddr,
        metrics: Metrics,
        readiness: Readiness,
        stop: CancellationToken,
    }

    impl Bench {
        async fn new() -> Self {
            let (metrics, readiness, stop) = (Metrics::new(), Readiness::default(), CancellationToken::new());
            let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
            let address = serve(anywhere, metrics.clone(), readiness.clone(), stop.clone()).await.unwrap();
            Self { address, metrics, readiness, stop }
        }

        async fn get(&self, path: &str) -> reqwest::Result<reqwest::Response> {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            client.get(format!("http://{}{path}", self.address)).send().await
        }

        async fn answer(&self, path: &str) -> (u16, String) {
            let answer = self.get(path).await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    }

    #[tokio::test]
    async fn a_process_is_healthy_as_long_as_it_answers() {
        let bench = Bench::new().await;
        bench.readiness.set("broker", Err("not connected".to_owned()));
        assert_eq!(bench.answer("/healthz").await, (200, "ok".to_owned()));
        assert_eq!(bench.answer("/").await.0, 404);
    }

    #[tokio::test]
    async fn it_is_ready_when_every_condition_holds_and_says_which_does_not() {
        let bench = Bench::new().await;
        assert_eq!(bench.answer("/readyz").await, (200, "ready".to_owned()));
        bench.readiness.set("portal", Err("401".to_owned()));
        bench.readiness.set("broker", Err("not connected".to_owned()));
        assert_eq!(bench.answer("/readyz").await, (503, "broker: not connected\nportal: 401".to_owned()));
        bench.readiness.set("broker", Ok(()));
        assert_eq!(bench.answer("/readyz").await, (503, "portal: 401".to_owned()));
        bench.readiness.set("portal", Ok(()));
        assert_eq!(bench.answer("/readyz").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_those_of_now_in_the_format_that_is_announced() {
        let bench = Bench::new().await;
        bench.metrics.job_published(Lane::Fresh);
        let answer = bench.get("/metrics").await.unwrap();
        assert_eq!(answer.headers()["content-type"], METRICS_TYPE);
        let text = answer.text().await.unwrap();
        assert!(text.contains("\nconnector_jobs_published_total{lane=\"fresh\"} 1\n"), "{text}");
    }

    #[tokio::test]
    async fn an_address_in_use_is_an_error_at_once_that_names_the_key() {
        let bench = Bench::new().await;
        let again =
            serve(bench.address, Metrics::new(), Readiness::default(), CancellationToken::new()).await;
        let Err(Failure::Configuration(reason)) = again else { panic!("{again:?}") };
        assert!(
            reason.starts_with(&format!("http.listen: cannot listen on {}: ", bench.address)),
            "{reason}"
        );
    }

    #[tokio::test]
    async fn nobody_listens_after_the_stop() {
        let bench = Bench::new().await;
        assert_eq!(bench.answer("/healthz").await.0, 200);
        bench.stop.cancel();
        while bench.get("/healthz").await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}
