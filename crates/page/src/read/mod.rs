//! The pages to read, and the same as JSON.

mod api;
mod asset;
mod csv;
mod failed;
mod files;
mod history;
mod overview;
mod reading;
mod rows;
mod runs;
mod snapshot;
mod thumbnail;

use axum::Router;
use axum::routing::get;

use crate::state::PageState;
pub(crate) use api::answer;
pub(crate) use reading::parameters;

use reading::Reading;

pub(crate) fn routes(state: &PageState) -> Router {
    Router::new()
        .route("/", get(overview::show))
        .route("/failed", get(failed::show))
        .route("/failed.csv", get(csv::download))
        .route("/assets", get(asset::find))
        .route("/assets/{id}", get(asset::show))
        .route("/thumbnails/{id}", get(thumbnail::show))
        .route("/runs", get(runs::show))
        .route("/page.css", get(files::style))
        .route("/icon.svg", get(files::icon))
        .route("/api/v1/overview", get(api::overview))
        .route("/api/v1/failed", get(api::failed))
        .route("/api/v1/assets/{id}", get(api::asset))
        .route("/api/v1/runs", get(api::runs))
        .with_state(Reading::new(state))
}
