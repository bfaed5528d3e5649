//! The HTTP endpoint of a long-running process: health, readiness and metrics.

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use super::server::{Connections, serve_router};
use super::{Metrics, Readiness};
use common::failure::Failure;
use common::visible::shown;

/// Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Listens, and serves in the background until `stop`. Returns the address, with the actual port if port 0 was given.
pub async fn serve(
    listen: SocketAddr,
    metrics: Metrics,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<SocketAddr, Failure> {
    serve_router("http.listen", listen, router(metrics, readiness), Connections::Kept, stop).await
}

fn router(metrics: Metrics, readiness: Readiness) -> Router {
    let watched = metrics.clone();
    let measured = move || std::future::ready(([(CONTENT_TYPE, METRICS_TYPE)], metrics.render()));
    let healthy = move || std::future::ready(verdict("ok", &watched.stuck_steps()));
    let ready = move || std::future::ready(verdict("ready", &readiness.reasons()));
    Router::new()
        .route("/metrics", get(measured))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
}

fn verdict(good: &str, reasons: &[String]) -> (StatusCode, String) {
    let lines: Vec<_> = reasons.iter().map(|reason| shown(reason)).collect();
    if lines.is_empty() {
        (StatusCode::OK, good.to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::super::server::{LONGEST_CONNECTION, LONGEST_HEAD, LONGEST_REQUEST, MOST_CONNECTIONS};
    use super::*;
    use common::job::{Job, Lane, RunId};

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
            let client = http_client::local_client(2 * LONGEST_CONNECTION).unwrap();
            client.get(format!("http://{}{path}", self.address)).send().await
        }

        async fn answer(&self, path: &str) -> (u16, String) {
            let answer = self.get(path).await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    }

    #[tokio::test]
    async fn a_step_that_outlives_its_deadline_makes_the_process_unhealthy_until_it_ends() {
        let bench = Bench::new().await;
        let job =
            Job::new(RunId("r".to_owned()), "A".parse().unwrap(), "", Lane::Fresh, 1, None, Timestamp::now());
        bench.metrics.step_deadline_is(Duration::from_hours(1));
        let step = bench.metrics.step_started(&job);
        tokio::time::pause();
        tokio::time::advance(Duration::from_hours(2)).await;
        tokio::time::resume();
        let (status, said) = bench.answer("/healthz").await;
        assert!(
            status == 503 && said.contains("the step submit of job") && said.contains("of asset A"),
            "{said}"
        );
        drop(step);
        assert_eq!(bench.answer("/healthz").await, (200, "ok".to_owned()));
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

    #[tokio::test(start_paused = true)]
    async fn clients_that_ask_nothing_keep_their_places_for_a_bounded_time_only() {
        let bench = Bench::new().await;
        let mut idle = Vec::new();
        for _ in 0..MOST_CONNECTIONS {
            let mut stream = TcpStream::connect(bench.address).await.unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").await.unwrap();
            idle.push(stream);
        }
        let before = tokio::time::Instant::now();
        assert_eq!(bench.answer("/healthz").await.0, 200);
        assert!(before.elapsed() >= LONGEST_HEAD, "there was a place for more than {MOST_CONNECTIONS}");
        let mut left = String::new();
        idle[0].read_to_string(&mut left).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_again_and_again_gives_its_place_up_too() {
        let bench = Bench::new().await;
        let before = tokio::time::Instant::now();
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        let mut answer = [0; 4096];
        while stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").await.is_ok()
            && stream.read(&mut answer).await.is_ok_and(|bytes| bytes > 0)
        {
            assert!(before.elapsed() <= LONGEST_CONNECTION);
            tokio::time::sleep(LONGEST_HEAD / 2).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_whose_body_does_not_come_is_ended() {
        let takes = Router::new().route("/", axum::routing::post(async |_: String| "taken"));
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let stop = CancellationToken::new();
        let address = serve_router("test", anywhere, takes, Connections::Single, stop).await.unwrap();
        let before = tokio::time::Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n1234").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert_eq!(before.elapsed().as_secs(), LONGEST_REQUEST.as_secs());
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
