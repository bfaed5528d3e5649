//! How each request is handled: counted, limited, hit by a fault, and answered.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;

use crate::call::{Call, text};
use crate::endpoint::Endpoint;
use crate::faults::{Action, Moment};
use crate::violation::ViolationKind;
use crate::world::{SECRET_MARK, SandboxState, World};
use crate::{control, imatag, portal, storage};

pub(crate) fn router(shared: SandboxState) -> Router {
    // Uploads may have any size; each handler bounds what it keeps in memory.
    Router::new().fallback(handle).layer(DefaultBodyLimit::disable()).with_state(shared)
}

async fn handle(State(shared): State<SandboxState>, request: Request) -> Response {
    let mut call = Call::new(request);
    let endpoint = Endpoint::of(call.request.method(), &call.segments());
    if endpoint == Endpoint::Control {
        return control::handle(&shared, call).await;
    }
    if let Some(refusal) = count(&shared, endpoint, &call) {
        return refusal;
    }
    let strike = shared.world().saboteur.strike(endpoint);
    match strike {
        None => carry_out(shared, endpoint, call, Duration::ZERO).await,
        Some((_, Action::Defect(defect))) => {
            call.defect = Some(defect);
            carry_out(shared, endpoint, call, Duration::ZERO).await
        }
        Some((Moment::Before, Action::Delay(delay))) => carry_out(shared, endpoint, call, delay).await,
        Some((Moment::Before, action)) => sabotage(&shared, action, None).await,
        Some((Moment::After, action)) => {
            let answer = carry_out(shared.clone(), endpoint, call, Duration::ZERO).await;
            sabotage(&shared, action, Some(answer)).await
        }
    }
}

/// Counts the request, and applies the limit to portal calls.
fn count(shared: &SandboxState, endpoint: Endpoint, call: &Call) -> Option<Response> {
    use crate::world::Ruling;
    let mut world = shared.world();
    *world.requests.entry(endpoint.name()).or_default() += 1;
    // URLs end up in the logs of proxies and servers. A signed link is an exception by design.
    if !endpoint.takes_signed_links() && call.request.uri().to_string().contains(SECRET_MARK) {
        let detail = format!("a secret in the address of a request to {}", endpoint.name());
        world.violate(ViolationKind::CredentialLeaked, "", detail);
    }
    if !endpoint.is_portal() {
        return None;
    }
    let ruling = world.limiter.call();
    if let Ruling::RefusedInBlock = ruling {
        let path = call.path.join("/");
        world.violate(ViolationKind::RequestDuringBlock, "", format!("{} {path}", endpoint.name()));
    }
    match ruling {
        Ruling::Pass => None,
        Ruling::Refused | Ruling::RefusedInBlock => Some(text(429, "")),
    }
}

/// Carries out the request to its end even if the client disconnects, as real servers do.
async fn carry_out(shared: SandboxState, endpoint: Endpoint, call: Call, delay: Duration) -> Response {
    enter(&mut shared.world(), endpoint);
    let counted = shared.clone();
    let work = tasks::brief(async move {
        tokio::time::sleep(delay).await;
        match endpoint {
            Endpoint::StoragePart | Endpoint::StorageFile | Endpoint::StorageThumbnail => {
                storage::handle(&shared, endpoint, call).await
            }
            Endpoint::Submit
            | Endpoint::MediumStatus
            | Endpoint::MediumResult
            | Endpoint::MediumFind
            | Endpoint::ImatagToken
            | Endpoint::ImatagLink
            | Endpoint::ImatagUnknown => imatag::handle(&shared, endpoint, call).await,
            _ => portal::handle(&shared, endpoint, call).await,
        }
    });
    let counted = tasks::brief(async move {
        let answer = work.await;
        leave(&mut counted.world(), endpoint);
        answer
    });
    let answer = counted.await.map_err(|error| error.to_string());
    answer
        .and_then(|answer| answer.map_err(|error| error.to_string()))
        .unwrap_or_else(|error| text(500, &error))
}

fn enter(world: &mut World, endpoint: Endpoint) {
    world.under_way += 1;
    if endpoint == Endpoint::Submit {
        world.submits.now += 1;
        world.submits.most = world.submits.most.max(world.submits.now);
    }
}

fn leave(world: &mut World, endpoint: Endpoint) {
    world.under_way -= 1;
    *world.carried_out.entry(endpoint.name()).or_default() += 1;
    if endpoint == Endpoint::Submit {
        world.submits.now -= 1;
    }
}

async fn sabotage(shared: &SandboxState, action: Action, answer: Option<Response>) -> Response {
    match action {
        // `resume_unwind` closes the connection without a response and does not invoke the panic hook.
        Action::Reset => std::panic::resume_unwind(Box::new("connection reset on demand")),
        Action::Hang => std::future::pending().await,
        Action::Delay(delay) => {
            tokio::time::sleep(delay).await;
            answer.unwrap_or_else(|| text(503, ""))
        }
        // The watermark has its defect already.
        Action::Defect(_) => answer.unwrap_or_else(|| text(503, "")),
        Action::Truncate => truncate(answer.unwrap_or_else(|| text(200, "nothing"))).await,
        Action::Trickle(pause) => trickle(answer.unwrap_or_else(|| text(200, "nothing")), pause).await,
        Action::Busy { status, retry_after } => {
            let mut answer = text(status, "");
            if let Some(value) = retry_after.and_then(|text| text.parse().ok()) {
                answer.headers_mut().insert(header::RETRY_AFTER, value);
            }
            answer
        }
        Action::Answer { status, body, content_type } => {
            if status == 429 {
                shared.world().limiter.block();
            }
            let mut answer = text(status, &body);
            if let Ok(value) = content_type.parse() {
                answer.headers_mut().insert(header::CONTENT_TYPE, value);
            }
            answer
        }
    }
}

/// Announces the whole body and sends it byte by byte: it never stalls, but takes very long.
async fn trickle(answer: Response, pause: Duration) -> Response {
    let (mut head, body) = answer.into_parts();
    let body = to_bytes(body, 64 << 20).await.unwrap_or_default();
    head.headers.insert(header::CONTENT_LENGTH, body.len().into());
    let bytes = stream::unfold(body, move |mut rest| async move {
        tokio::time::sleep(pause).await;
        let byte = (!rest.is_empty()).then(|| rest.split_to(1))?;
        Some((Ok::<_, std::io::Error>(byte), rest))
    });
    (head, Body::from_stream(bytes)).into_response()
}

/// Announces the whole body and sends half of it.
async fn truncate(answer: Response) -> Response {
    let (mut head, body) = answer.into_parts();
    let body = to_bytes(body, 64 << 20).await.unwrap_or_default();
    head.headers.insert(header::CONTENT_LENGTH, body.len().into());
    let half: Bytes = body.slice(..body.len() / 2);
    let cut = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Err(std::io::Error::other("cut on demand"))
    };
    let parts = futures::StreamExt::chain(stream::iter([Ok(half)]), stream::once(cut));
    (head, Body::from_stream(parts)).into_response()
}
