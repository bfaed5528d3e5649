//! The same information on each wire.

use serde_json::{Value, json};

use crate::endpoint::Wire;
use crate::world::{Medium, MediumState};

pub(super) fn status_word(wire: Wire, medium: &Medium) -> &'static str {
    match (&medium.state, medium.is_ready()) {
        (MediumState::AlreadyProtected, _) => match wire {
            Wire::Assumed => "already_watermarked",
            Wire::Bytes => "OWN_MARK",
            Wire::Link => "own",
        },
        (MediumState::Working { .. }, true) => match wire {
            Wire::Assumed => "ready",
            Wire::Bytes => "DONE",
            Wire::Link => "ok",
        },
        (MediumState::Working { .. }, false) => match wire {
            Wire::Assumed => "processing",
            Wire::Bytes => "BUSY",
            Wire::Link => "queued",
        },
    }
}

pub(super) fn shown(wire: Wire, medium: &Medium) -> Value {
    let word = status_word(wire, medium);
    match wire {
        Wire::Assumed => json!({"id": medium.id, "status": word, "error": null, "metadata": medium.metadata}),
        Wire::Bytes => json!({"ref": medium.id, "state": word, "meta": medium.metadata}),
        Wire::Link => json!({"data": {"uuid": medium.id, "state": word}}),
    }
}
