use http_client::Sent;
use imatag::Attempted;

use super::*;

fn bynder_errors() -> Vec<(BynderError, Verdict, FailureClass, Option<u32>)> {
    let text = || "t".to_owned();
    let (operation, message, reason) = (text, text, text);
    let answers = Verdict::Retry { against: Some(Against::Answers(Service::Bynder)), suspect: false };
    let local = Verdict::Retry { against: None, suspect: false };
    let (exhausted, minute) = (FailureClass::Exhausted, Duration::from_mins(1));
    let forbidden = |right| BynderError::Forbidden { operation: text(), message: text(), right };
    let maybe = BynderError::Unavailable { operation: operation(), reason: reason(), sent: Sent::Maybe };
    let credential = retry(Against::Credential(Service::Bynder));
    let configuration = retry(Against::Configuration(Service::Bynder));
    let refused = Verdict::Fail(FailureClass::Refused);
    let permission = FailureClass::Permission;
    vec![
        (BynderError::Paused { remaining: minute }, pause(minute), exhausted, None),
        (BynderError::BatchFailed { reason: reason() }, pause(Duration::ZERO), exhausted, None),
        (
            BynderError::Withheld { operation: operation(), reason: reason() },
            pause(Duration::ZERO),
            exhausted,
            None,
        ),
        (
            BynderError::Unauthorized { operation: operation(), message: message() },
            credential,
            exhausted,
            None,
        ),
        (forbidden(Right::ReadAsset), retry(Against::RightToRead), permission, Some(2)),
        (forbidden(Right::Other), retry(Against::RightToWrite), permission, Some(2)),
        (
            BynderError::NotFound { operation: operation(), message: message() },
            refused,
            FailureClass::Refused,
            None,
        ),
        (
            BynderError::Refused { operation: operation(), status: 400, message: message() },
            refused,
            FailureClass::Refused,
            None,
        ),
        (maybe, answers, exhausted, None),
        (BynderError::Unexpected { operation: operation(), reason: reason() }, answers, exhausted, None),
        (
            BynderError::Misconfigured { operation: operation(), reason: reason() },
            configuration,
            exhausted,
            None,
        ),
        (BynderError::Local { operation: operation(), reason: reason() }, local, exhausted, None),
    ]
}

fn imatag_errors() -> Vec<(ImatagError, Verdict, FailureClass, Option<u32>)> {
    let at = || Attempted { operation: "o".to_owned(), request_id: Some("R".to_owned()) };
    let reason = || "t".to_owned();
    let (exhausted, minute) = (FailureClass::Exhausted, Duration::from_mins(1));
    let of = |against: fn(Service) -> Against| retry(against(Service::Imatag));
    let (sent, unsupported) = (Sent::Maybe, FailureClass::Unsupported);
    let unknown = Verdict::Retry { against: None, suspect: false };
    vec![
        (ImatagError::Busy { at: at(), wait: minute, sent }, pause(minute), exhausted, None),
        (ImatagError::Paused { at: at(), remaining: minute }, pause(minute), exhausted, None),
        (ImatagError::Withheld { at: at(), reason: reason() }, pause(Duration::ZERO), exhausted, None),
        (ImatagError::Unauthorized { at: at(), reason: reason() }, of(Against::Credential), exhausted, None),
        (
            ImatagError::Forbidden { at: at(), reason: reason() },
            retry(Against::RightToSubmit),
            FailureClass::Permission,
            Some(2),
        ),
        (ImatagError::Refused { at: at(), reason: reason() }, Verdict::Fail(unsupported), unsupported, None),
        (ImatagError::UnknownMedium { at: at() }, unknown, FailureClass::Refused, Some(2)),
        (
            ImatagError::Misconfigured { at: at(), reason: reason() },
            of(Against::Configuration),
            exhausted,
            None,
        ),
        (
            ImatagError::Unavailable { at: at(), reason: reason(), sent },
            of(Against::Answers),
            exhausted,
            None,
        ),
        (ImatagError::Unexpected { at: at(), reason: reason() }, of(Against::Answers), exhausted, None),
    ]
}

fn errors_of_this_machine() -> Vec<(StepError, Verdict, FailureClass, Option<u32>)> {
    let text = || "t".to_owned();
    let retried = |suspect| Verdict::Retry { against: None, suspect };
    let (exhausted, local, zero) = (FailureClass::Exhausted, FailureClass::Local, Duration::ZERO);
    let machine = retry(Against::Answers(Service::Machine));
    vec![
        (StepError::Incomplete(text()), retried(false), exhausted, None),
        (StepError::Local(text()), retried(false), local, None),
        (StepError::Disk(text()), machine, local, None),
        (StepError::NoSpace(text()), pause(zero), local, None),
        (StepError::NoReader(text()), pause(zero), local, None),
        (StepError::Overran(zero), retried(true), exhausted, Some(2)),
        (StepError::Panicked(text()), retried(true), exhausted, Some(2)),
        (StepError::TooLarge(text()), Verdict::Fail(local), local, None),
        (StepError::Unproven(text()), retry(Against::WireProfile), FailureClass::Unsupported, None),
        (StepError::Queue(QueueError::Closed), pause(zero), exhausted, None),
    ]
}

/// The same for an effect whose result was lost.
fn unsure(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Retry { against, .. } => Verdict::Retry { against, suspect: true },
        Verdict::Pause { at_least, .. } => Verdict::Pause { at_least, suspect: true },
        failure @ Verdict::Fail(_) => failure,
    }
}

#[test]
fn each_error_has_its_verdict_its_class_and_its_attempts_also_where_a_result_was_lost() {
    let bynder = bynder_errors().into_iter().map(|(error, verdict, class, most)| {
        let sent = error.may_have_been_sent();
        (StepError::from(error), verdict, class, most, sent, None)
    });
    let imatag = imatag_errors().into_iter().map(|(error, verdict, class, most)| {
        let sent = error.may_have_been_sent();
        (StepError::from(error), verdict, class, most, sent, Some("R"))
    });
    let machine = errors_of_this_machine();
    let machine =
        machine.into_iter().map(|(error, verdict, class, most)| (error, verdict, class, most, false, None));
    for (error, verdict, class, most, sent, request_id) in bynder.chain(imatag).chain(machine) {
        let text = error.to_string();
        assert_eq!((error.verdict(), error.class()), (verdict, class), "{text}");
        assert_eq!((error.most_attempts(), error.request_id().as_deref()), (most, request_id), "{text}");
        let of_effect = error.of_effect();
        assert_eq!(matches!(of_effect, StepError::UnknownOutcome(_)), sent, "{text}");
        let lost = of_effect.after_effect();
        assert_eq!((lost.verdict(), lost.class()), (unsure(verdict), class), "{text}");
        assert_eq!((lost.most_attempts(), lost.request_id().as_deref()), (most, request_id), "{text}");
        assert!(
            matches!(lost.of_effect().after_effect(), StepError::UnknownOutcome(inner)
            if !matches!(*inner, StepError::UnknownOutcome(_))),
            "{text}"
        );
    }
}

#[test]
fn a_download_that_fails_here_is_told_from_one_that_fails_there() {
    let of = |error| StepError::receiving::<ImatagError>(error);
    let (directory, source) = ("/spool".into(), std::io::Error::other("full"));
    assert!(matches!(of(ReceiveError::Length { expected: 2, received: 1 }), StepError::Incomplete(_)));
    assert!(matches!(of(ReceiveError::Disk { directory, source }), StepError::Disk(_)));
    assert!(matches!(of(ReceiveError::Full), StepError::NoSpace(_)));
    assert!(matches!(of(ReceiveError::TooLarge { bytes: 1 }), StepError::TooLarge(_)));
    let (source, ..) = imatag_errors().remove(0);
    assert!(matches!(of(ReceiveError::Source(source)), StepError::Imatag(_)));
}

#[test]
fn a_job_whose_lease_is_on_a_node_that_is_away_does_not_ask_for_it_all_the_time() {
    let of = |error| StepError::from(error).verdict();
    assert_eq!(of(QueueError::NodeAway("away".to_owned())), pause(Duration::from_mins(1)));
    assert_eq!(of(QueueError::Unavailable("away".to_owned())), pause(Duration::ZERO));
}

#[test]
fn waiting_for_space_in_the_spool_is_a_pause_that_costs_no_attempt() {
    let full = || StepError::receiving(ReceiveError::<ImatagError>::Full);
    assert_eq!(full().verdict(), pause(Duration::ZERO));
    // The result came with the response to a submit, without an id.
    let paused = Verdict::Pause { at_least: Duration::ZERO, suspect: true };
    assert_eq!(full().after_effect().verdict(), paused);
}
