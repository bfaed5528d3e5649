//! The operator's page: what is protected, what is under way, which jobs failed and why, and the acts on them.
//!
//! [`serve`] serves it on a listener of its own. [`PageState`] has what it shows: the record in the state directory, and the
//! running connector, which a program attaches while it is connected. Pages are made on the server and need no script.

mod access;
mod acts;
#[cfg(test)]
mod asking;
pub mod filter;
pub mod frame;
mod headers;
mod known;
mod link;
mod login;
mod pause;
mod picture;
pub mod problem;
mod read;
mod state;
mod text;
mod thumbnails;
pub mod words;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use axum::http::{StatusCode, Uri};
use axum::{Router, middleware};
use common::failure::Failure;
use config::Config;
use telemetry::{Connections, Readiness, serve_router};
use tokio_util::sync::CancellationToken;

pub use pause::PauseSwitch;
pub use picture::Pictures;
pub use state::{Attached, Live, PageState, Record};

use access::Access;
use problem::Problem;

/// Serves the page in the background until `stop`, if the configuration gives it an address. Returns its state, to which the
/// program attaches the running connector.
///
/// # Errors
/// The address cannot be listened on, or a token cannot be used.
pub async fn serve(
    config: &Config,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<Option<PageState>, Failure> {
    let Some(listen) = config.page.listen else { return Ok(None) };
    let access = Access::new(&config.page)?;
    let state = PageState::new(config, readiness)?;
    let address =
        serve_router("page.listen", listen, router(&state, &access), Connections::Single, stop).await?;
    announce(address);
    Ok(Some(state))
}

fn announce(address: SocketAddr) {
    tracing::info!(%address, "the operator's page is served");
}

/// Everything that the page answers.
fn router(state: &PageState, access: &Access) -> Router {
    let routes = Router::new()
        .merge(read::routes(state))
        .merge(login::routes(state.clone(), access.clone()))
        .merge(acts::routes(state.clone()))
        .route_layer(middleware::from_fn(known::parameters))
        .fallback(|uri: Uri| async move { Problem::nothing_here().at(&uri) })
        .method_not_allowed_fallback(|uri: Uri| async move {
            let text = "This address does not answer to such a request.";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Not allowed", text).at(&uri)
        });
    access.guard(routes).layer(middleware::from_fn(headers::add))
}
