//! What a request may do. Pure.

use std::sync::Arc;

use super::origin::{Host, Origin};
use super::sessions::Session;

/// A request, as far as the decision depends on it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) host: Host,
    pub(super) origin: Origin,
    pub(super) what: What,
    pub(super) by: By,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The page to sign in, and what it looks like.
    Door,
    /// To sign in, or out.
    Enter,
    /// To read.
    Read,
    /// To change something.
    Act,
}

/// By whom.
#[derive(Debug, Clone)]
pub(super) enum By {
    Anyone,
    Session(Session),
    /// The holder of a token, which came in the request itself.
    Token(Arc<str>),
    /// A program with a token that is not known.
    Stranger,
    /// A program from an address that has tried too many.
    Guesser,
}

/// The rules of one page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Whether the listener is a loopback address.
    pub(super) is_loopback: bool,
    /// Whether there are tokens at all.
    pub(super) has_tokens: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Host,
    Origin,
    /// There are no tokens, so nobody may act.
    Off,
    /// It needs a session or a token.
    SignIn,
    WrongToken,
    TooMany,
}

pub(super) fn decide(rules: Rules, asked: &Asked) -> Result<(), Refusal> {
    if asked.host == Host::Foreign {
        return Err(Refusal::Host);
    }
    match asked.by {
        By::Guesser => return Err(Refusal::TooMany),
        By::Stranger => return Err(Refusal::WrongToken),
        By::Anyone | By::Session(_) | By::Token(_) => {}
    }
    let changes = matches!(asked.what, What::Enter | What::Act);
    // Only a program that sends a token with each request may leave out where it comes from.
    let unsaid = asked.origin == Origin::Unsaid && !matches!(asked.by, By::Token(_));
    if changes && (asked.origin == Origin::Foreign || unsaid) {
        return Err(Refusal::Origin);
    }
    match (asked.what, &asked.by) {
        (What::Enter | What::Act, _) if !rules.has_tokens => Err(Refusal::Off),
        (What::Door | What::Enter, _) | (What::Read | What::Act, By::Session(_) | By::Token(_)) => Ok(()),
        (What::Read, _) if rules.is_loopback => Ok(()),
        (What::Read | What::Act, _) => Err(Refusal::SignIn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Rules = Rules { is_loopback: true, has_tokens: true };
    const ELSEWHERE: Rules = Rules { is_loopback: false, has_tokens: true };
    const OFF: Rules = Rules { is_loopback: true, has_tokens: false };

    fn asked(what: What, by: By) -> Asked {
        let origin = if matches!(by, By::Token(_)) { Origin::Unsaid } else { Origin::Own };
        Asked { host: Host::Loopback, origin, what, by }
    }

    fn known() -> [By; 2] {
        let session = Session { name: "ann".into(), csrf: "c".into() };
        [By::Session(session), By::Token("ben".into())]
    }

    #[test]
    fn reading_needs_a_name_only_where_others_can_reach_the_listener() {
        assert_eq!(decide(HERE, &asked(What::Read, By::Anyone)), Ok(()));
        assert_eq!(decide(OFF, &asked(What::Read, By::Anyone)), Ok(()));
        assert_eq!(decide(ELSEWHERE, &asked(What::Read, By::Anyone)), Err(Refusal::SignIn));
        for rules in [HERE, ELSEWHERE] {
            for by in known() {
                assert_eq!(decide(rules, &asked(What::Read, by)), Ok(()));
            }
            assert_eq!(decide(rules, &asked(What::Door, By::Anyone)), Ok(()));
            assert_eq!(decide(rules, &asked(What::Enter, By::Anyone)), Ok(()));
        }
    }

    #[test]
    fn acting_always_needs_a_name() {
        for rules in [HERE, ELSEWHERE] {
            assert_eq!(decide(rules, &asked(What::Act, By::Anyone)), Err(Refusal::SignIn));
            for by in known() {
                assert_eq!(decide(rules, &asked(What::Act, by)), Ok(()));
            }
        }
        for what in [What::Act, What::Enter] {
            assert_eq!(decide(OFF, &asked(what, By::Anyone)), Err(Refusal::Off));
        }
    }

    #[test]
    fn a_wrong_token_is_refused_even_where_none_is_needed() {
        for what in [What::Door, What::Read, What::Act] {
            for origin in [Origin::Own, Origin::Unsaid, Origin::Foreign] {
                let asked = |by| Asked { origin, ..asked(what, by) };
                assert_eq!(decide(HERE, &asked(By::Stranger)), Err(Refusal::WrongToken));
                assert_eq!(decide(HERE, &asked(By::Guesser)), Err(Refusal::TooMany));
            }
        }
    }

    #[test]
    fn another_host_is_refused_whatever_is_asked_and_by_whom() {
        for what in [What::Door, What::Enter, What::Read, What::Act] {
            for by in known().into_iter().chain([By::Anyone, By::Stranger, By::Guesser]) {
                let asked = Asked { host: Host::Foreign, ..asked(what, by) };
                assert_eq!(decide(HERE, &asked), Err(Refusal::Host));
            }
        }
    }

    #[test]
    fn a_change_from_another_page_is_refused_and_one_from_nowhere_unless_it_brings_its_token() {
        let [session, token] = known();
        for by in [session.clone(), token.clone(), By::Anyone] {
            for what in [What::Enter, What::Act] {
                let asked = Asked { origin: Origin::Foreign, ..asked(what, by.clone()) };
                assert_eq!(decide(HERE, &asked), Err(Refusal::Origin), "{asked:?}");
            }
            let reads = Asked { origin: Origin::Foreign, ..asked(What::Read, by) };
            assert_eq!(decide(HERE, &reads), Ok(()), "a link leads here");
        }
        let unsaid = |what, by| Asked { origin: Origin::Unsaid, ..asked(what, by) };
        assert_eq!(decide(HERE, &unsaid(What::Act, session)), Err(Refusal::Origin));
        assert_eq!(decide(HERE, &unsaid(What::Enter, By::Anyone)), Err(Refusal::Origin));
        assert_eq!(decide(HERE, &unsaid(What::Act, token)), Ok(()));
    }
}
