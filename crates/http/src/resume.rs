//! Resumes the transfer of a file where it broke off.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, RANGE};
use reqwest::{RequestBuilder, Response, StatusCode};

use super::{Operation, Transport, TransportError};

/// Attempts to resume, in a row, before the transfer fails: about 50 seconds.
const MOST_TRIES: u32 = 8;
/// The wait before the first attempt; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// After this much progress, all attempts are available again.
const PROGRESS: u64 = 8 << 20;

/// The missing rest of a file.
#[derive(Debug, Clone)]
pub struct Rest {
    from: u64,
    length: u64,
    etag: HeaderValue,
}

impl Rest {
    /// The rest of the file in this response, if the response says how to request the rest.
    fn of(response: &Response) -> Option<Self> {
        let etag = response.headers().get(ETAG)?;
        // Files under the same weak tag may differ in their bytes.
        let is_strong = etag.as_bytes().first() == Some(&b'"');
        is_strong.then_some(Self { from: 0, length: response.content_length()?, etag: etag.clone() })
    }

    /// Requests the rest, or the whole file if it has changed.
    pub fn ask(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(RANGE, format!("bytes={}-", self.from)).header(IF_RANGE, self.etag.clone())
    }

    fn is_answered_by(&self, response: &Response) -> bool {
        let range = format!("bytes {}-{}/{}", self.from, self.length - 1, self.length);
        response.status() == StatusCode::PARTIAL_CONTENT
            && response.headers().get(CONTENT_RANGE).is_some_and(|found| found.as_bytes() == range.as_bytes())
    }
}

/// A transfer between two pieces.
struct Transfer<F> {
    transport: Transport,
    operation: Operation,
    body: BoxStream<'static, Result<Bytes, TransportError>>,
    rest: Option<Rest>,
    again: F,
    tries: u32,
    /// How many bytes had arrived when it last broke off.
    broke_off_at: u64,
}

impl Transport {
    /// The body of a response as in [`Transport::body`]; where it breaks off, `again` requests the rest. `again`
    /// returns `None` if there was no good response.
    pub fn resuming_body<F, A>(
        &self,
        operation: Operation,
        response: Response,
        again: F,
    ) -> impl Stream<Item = Result<Bytes, TransportError>> + Send + use<F, A>
    where
        F: Fn(Rest) -> A + Send + 'static,
        A: Future<Output = Option<Response>> + Send,
    {
        let (transport, rest) = (self.clone(), Rest::of(&response));
        let body = self.body(operation, response).boxed();
        let transfer = Transfer { transport, operation, body, rest, again, tries: 0, broke_off_at: 0 };
        futures::stream::try_unfold(transfer, |mut transfer| async move {
            let piece = transfer.next().await?;
            Ok(piece.map(|piece| (piece, transfer)))
        })
    }
}

impl<F, A> Transfer<F>
where
    F: Fn(Rest) -> A + Send,
    A: Future<Output = Option<Response>> + Send,
{
    async fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        loop {
            match self.body.next().await {
                Some(Ok(piece)) => {
                    if let Some(rest) = &mut self.rest {
                        rest.from += piece.len() as u64;
                    }
                    return Ok(Some(piece));
                }
                Some(Err(error)) => self.go_on(error).await?,
                None => return Ok(None),
            }
        }
    }

    /// Requests the rest until a body arrives to continue with.
    ///
    /// # Errors
    /// The error that broke the transfer off.
    async fn go_on(&mut self, error: TransportError) -> Result<(), TransportError> {
        let Some(rest) = self.rest.clone().filter(|rest| rest.from < rest.length) else { return Err(error) };
        if rest.from - self.broke_off_at >= PROGRESS {
            self.tries = 0;
        }
        self.broke_off_at = rest.from;
        while self.tries < MOST_TRIES {
            tokio::time::sleep(FIRST_WAIT * 2_u32.pow(self.tries)).await;
            self.tries += 1;
            let Some(response) = (self.again)(rest.clone()).await else { continue };
            if !rest.is_answered_by(&response) {
                return Err(error);
            }
            tracing::info!(reason = %error, bytes = rest.from, of = rest.length, "a transfer was interrupted and resumes");
            self.body = self.transport.body(self.operation, response).boxed();
            return Ok(());
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use axum::body::Body;
    use axum::extract::Request;
    use futures::TryStreamExt;

    use super::*;
    use crate::LinkHosts;
    use crate::Services;

    const FILE: &[u8] = b"0123456789";

    /// How storage behaves after a transfer broke off.
    #[derive(Clone, Copy)]
    enum Storage {
        /// It sends three more bytes each time.
        Resumes,
        /// The file has changed; it sends the new one whole.
        Changed,
        /// It sends another range than requested.
        Confused,
        /// It first answers with an error a few times.
        Troubled,
        /// Its response does not say how to request the rest.
        Untagged,
    }

    fn answer(storage: Storage, count: usize, range: Option<&str>) -> axum::http::Response<Body> {
        let from = range.map_or(0, |range| {
            range.trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>().unwrap()
        });
        let is_first = count == 0;
        let status = match storage {
            _ if is_first => 200,
            Storage::Troubled if count < 2 => 503,
            Storage::Changed => 200,
            Storage::Resumes | Storage::Confused | Storage::Troubled | Storage::Untagged => 206,
        };
        let sent = FILE.len().min(from + 3);
        let start = if matches!(storage, Storage::Confused) { from + 1 } else { from };
        let pieces = [Ok(FILE[from..sent].to_vec()), Err(std::io::Error::other("broken off"))];
        let body = Body::from_stream(futures::stream::iter(pieces).then(|piece| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            piece
        }));
        let answer = axum::http::Response::builder()
            .status(status)
            .header("content-length", FILE.len() - from)
            .header("content-range", format!("bytes {start}-9/10"));
        let answer = match storage {
            Storage::Untagged => answer,
            _ => answer.header("etag", "\"one\""),
        };
        answer.body(if sent == FILE.len() { Body::from(FILE[from..].to_vec()) } else { body }).unwrap()
    }

    /// The bytes that arrive from such storage, and the ranges that were requested.
    async fn fetched(storage: Storage) -> (Result<Vec<u8>, TransportError>, Vec<Option<String>>) {
        let (asked, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let noting = Arc::clone(&asked);
        let router = axum::Router::new().fallback(move |request: Request| {
            let range = request.headers().get("range").map(|range| range.to_str().unwrap().to_owned());
            let answer = answer(storage, count.fetch_add(1, Ordering::Relaxed), range.as_deref());
            noting.lock().unwrap().push(range);
            async move { answer }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tasks::brief(async move { axum::serve(listener, router).await });
        let services = Services {
            urls: vec![url.parse().unwrap()],
            token_url: None,
            allow_http: false,
            link_hosts: LinkHosts::Any,
        };
        let transport = Transport::new(&services, Duration::from_secs(5), Arc::new(())).unwrap();
        let operation = Operation::FetchOriginal;
        let first = transport.send_for_file(operation, transport.client().get(&url)).await.unwrap();
        let again = {
            let transport = transport.clone();
            move |rest: Rest| {
                let (transport, url) = (transport.clone(), url.clone());
                async move {
                    let request = rest.ask(transport.client().get(&url));
                    let response = transport.send_for_file(operation, request).await.ok()?;
                    response.status().is_success().then_some(response)
                }
            }
        };
        let body = transport.resuming_body(operation, first, again);
        let file = body.try_fold(Vec::new(), |mut file, piece| async move {
            file.extend_from_slice(&piece);
            Ok(file)
        });
        let file = file.await;
        let asked = asked.lock().unwrap().clone();
        (file, asked)
    }

    #[tokio::test]
    async fn a_transfer_goes_on_where_it_broke_off_as_often_as_it_takes() {
        let (file, asked) = fetched(Storage::Resumes).await;
        assert_eq!(file.unwrap(), FILE);
        let ranges = [None, Some("bytes=3-"), Some("bytes=6-"), Some("bytes=9-")];
        assert_eq!(asked, ranges.map(|range| range.map(str::to_owned)));
        let (file, asked) = fetched(Storage::Troubled).await;
        assert_eq!((file.unwrap().as_slice(), asked.len()), (FILE, 5));
    }

    #[tokio::test]
    async fn pieces_of_two_files_are_never_put_together() {
        for storage in [Storage::Changed, Storage::Confused, Storage::Untagged] {
            assert!(fetched(storage).await.0.is_err());
        }
    }
}
