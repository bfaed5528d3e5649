//! How long a token of OAuth2 is used. Pure.

use std::time::Duration;

/// The lifetime of a token whose answer names none.
const UNSAID: Duration = Duration::from_hours(1);
/// A token is fetched anew after this time, whatever lifetime its answer claims.
const LONGEST: Duration = Duration::from_hours(24);
/// A token is replaced before it expires, so that no request is under way with it then.
const EARLY: Duration = Duration::from_mins(1);
/// Nor is a token fetched for every call, however short a lifetime its answer claims.
const SHORTEST: Duration = Duration::from_secs(30);

/// How long to use a token that expires in this many seconds.
pub fn token_use(expires_in: Option<u64>) -> Duration {
    expires_in.map_or(UNSAID, Duration::from_secs).min(LONGEST).saturating_sub(EARLY).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_early_and_daily_and_used_for_a_while_whatever_its_answer_claims() {
        let table =
            [(None, 3540), (Some(300), 240), (Some(60), 30), (Some(0), 30), (Some(u64::MAX), 86_400 - 60)];
        for (expires_in, seconds) in table {
            assert_eq!(token_use(expires_in).as_secs(), seconds, "{expires_in:?}");
        }
    }
}
