//! Statistics of the requests to both services.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::world::World;

/// Requests counted since the start.
#[derive(Debug, Clone, Serialize)]
pub struct Stats {
    /// By endpoint.
    pub requests: BTreeMap<String, u64>,
    /// Requests that were carried out, whether or not the response arrived; by endpoint.
    pub carried_out: BTreeMap<String, u64>,
    /// Requests that count against the portal's limit.
    pub portal_calls: u64,
    /// Maximum portal calls in any window of the limit's length.
    pub busiest_window: usize,
    /// Calls refused with 429.
    pub refusals: u64,
    /// Maximum concurrent uploads to Imatag.
    pub most_submits_at_once: u64,
    /// Parts of uploads that storage has received.
    pub parts: u32,
    /// Uploads that were finalised.
    pub imports: usize,
}

pub(crate) fn stats(world: &World) -> Stats {
    let named = |counts: &BTreeMap<&str, u64>| {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    Stats {
        requests: named(&world.requests),
        carried_out: named(&world.carried_out),
        portal_calls: world.limiter.calls,
        busiest_window: world.limiter.busiest,
        refusals: world.limiter.refusals,
        most_submits_at_once: world.submits.most,
        parts: *world.parts.borrow(),
        imports: world.imports.len(),
    }
}
