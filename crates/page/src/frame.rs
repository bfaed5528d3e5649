//! What every page shows around its content.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::state::PageState;

/// Who looks at the page; what decides that puts it into the request's extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Viewer {
    /// The name of the person who is signed in.
    pub name: Option<String>,
    /// Whether there is a token to sign in with.
    pub may_sign_in: bool,
}

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// The field `frame` of every template that extends `base.html`.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    pub viewer: Viewer,
    /// The portal's name; empty on a page that shows nothing of it.
    pub portal: String,
    /// The entry of the navigation that is shown.
    pub section: &'static str,
}

impl Frame {
    pub fn new(state: &PageState, viewer: Viewer, section: &'static str) -> Self {
        Self { viewer, portal: state.portal().name.clone(), section }
    }

    /// Whether this entry of the navigation is shown, as an attribute of its link.
    pub fn current(&self, section: &str) -> &'static str {
        if self.section == section { "page" } else { "false" }
    }

    pub fn is_signed_in(&self) -> bool {
        self.viewer.name.is_some()
    }

    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
