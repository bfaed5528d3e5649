use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use ::budget::Figures;
use common::check::{Check, Obstacle};
use common::job::{Job, Lane, RunId, Step};
use common::outcome::{Failure, FailureClass, Outcome, OutcomeEvent};
use common::service::Service;
use http_client::{Direction, Operation, Peer, RequestObserver, StatusClass};
use ledger::RunMode;
use queue::Depth;

/// The series without the buckets of histograms, which are many and follow from the count.
fn lines(metrics: &Metrics) -> BTreeSet<String> {
    let text = metrics.render();
    let lines = text.lines().filter(|line| line.starts_with("connector_") && !line.contains("_bucket{"));
    lines.map(str::to_owned).collect()
}

fn outcomes() -> [Outcome; 6] {
    let failure = Failure { class: FailureClass::Refused, reason: "".into(), request_id: None };
    [
        Outcome::Watermarked { version: 2 },
        Outcome::AlreadyProtected,
        Outcome::Superseded { ours: None, theirs: 2 },
        Outcome::AwaitingApproval,
        Outcome::Gone,
        Outcome::Failed(failure),
    ]
}

fn job() -> Job {
    Job::new(RunId("r".to_owned()), "A".parse().unwrap(), "", Lane::Fresh, 1, None, Timestamp::now())
}

#[test]
fn every_series_starts_at_zero_but_for_the_process_and_the_build_once_its_deployment_is_known() {
    let metrics = Metrics::new();
    let moved =
        || lines(&metrics).into_iter().filter(|line| !line.ends_with(" 0")).collect::<Vec<_>>().join("\n");
    assert_eq!(moved(), "");
    metrics.deployment_is("brand");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let labels = format!(
        "deployment=\"brand\",hostname=\"{}\",version=\"{}\"",
        host.trim(),
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(moved(), format!("connector_build_info{{{labels}}} 1"));
    assert!(metrics.render().contains("\nprocess_resident_memory_bytes "));
}

#[test]
fn every_event_moves_its_own_series_and_makes_no_new_one() {
    let metrics = Metrics::new();
    let before = lines(&metrics);
    metrics.set_slots(16);
    let _running = metrics.step_started(&job());
    metrics.step_started(&Job { step: Step::Save, ..job() }).ended(StepResult::Finish);
    metrics.step_deadline_is(Duration::from_hours(6));
    metrics.attempt_used(Step::Submit);
    metrics.job_published(Lane::Backlog);
    metrics.queue_measured(&Depth { waiting: 7, in_flight: 3, ..Depth::default() });
    metrics.broker_measured(true, 2);
    metrics.broker_measured(true, 2);
    metrics.breaker_open(Service::Imatag, true);
    metrics.set_budget(4000);
    metrics.budget_measured(&Figures {
        share: 800.4,
        lately: 5,
        calls: 7,
        waited: Duration::from_secs(9),
        silence: Some(Duration::from_secs(3)),
        operator_pause: false,
        members: 4,
    });
    metrics.imatag_paused(true);
    metrics.quiet_hours(true);
    metrics.request_ended(Operation::Save, StatusClass::Limited, Duration::from_secs(1));
    metrics.bytes_moved(Peer::Storage, Direction::Received, 5);
    metrics.run_ended(RunMode::Full, RunResult::Limited, Duration::from_secs(1));
    metrics.set_cursor(Some(Timestamp::from_second(6).unwrap()));
    metrics.assets_listed(3);
    metrics.asset_selected();
    metrics.asset_skipped(SkippedBy::Filter);
    metrics.watermark_paid();
    metrics.oldest_job_is(Duration::from_secs(8));
    metrics.run_interval_is(Duration::from_mins(1));
    metrics.state_measured(11, 12);
    let after = lines(&metrics);
    assert_eq!(after.len(), before.len());
    let moved: Vec<_> = after.difference(&before).map(String::as_str).collect();
    let (timed, moved): (Vec<_>, Vec<_>) = moved.into_iter().partition(|line| {
        line.starts_with("connector_job_queue_wait_seconds")
            || line.starts_with("connector_step_duration_seconds_sum")
    });
    assert_eq!(timed.len(), 3, "what the clock says: {timed:?}");
    let expected = [
        "connector_assets_listed_total 3",
        "connector_assets_selected_total 1",
        "connector_assets_skipped_total{reason=\"filter\"} 1",
        "connector_breaker_open{service=\"imatag\"} 1",
        "connector_broker_connected 1",
        "connector_broker_reconnects_total 1",
        "connector_broker_unknown_outcomes_total 2",
        "connector_budget_configured_requests 4000",
        "connector_budget_members 4",
        "connector_budget_share_requests 800",
        "connector_budget_used_requests 5",
        "connector_budget_waiting_seconds_total 9",
        "connector_cursor_timestamp_seconds 6",
        "connector_jobs_in_flight 1",
        "connector_jobs_published_total{lane=\"backlog\"} 1",
        "connector_paused{by=\"bynder\"} 1",
        "connector_paused{by=\"imatag\"} 1",
        "connector_portal_requests_total 7",
        "connector_queue_jobs{queue=\"waiting\"} 7",
        "connector_queue_oldest_job_age_seconds 8",
        "connector_quiet_period 1",
        "connector_request_duration_seconds_count{operation=\"save\",service=\"bynder\"} 1",
        "connector_request_duration_seconds_sum{operation=\"save\",service=\"bynder\"} 1",
        "connector_requests_total{operation=\"save\",service=\"bynder\",status=\"429\"} 1",
        "connector_run_duration_seconds_count{mode=\"full\"} 1",
        "connector_run_duration_seconds_sum{mode=\"full\"} 1",
        "connector_run_interval_seconds 60",
        "connector_runs_total{mode=\"full\",result=\"limited\"} 1",
        "connector_state_bytes 11",
        "connector_state_free_bytes 12",
        "connector_step_deadline_seconds 21600",
        "connector_step_duration_seconds_count{step=\"save\"} 1",
        "connector_step_retries_total{step=\"submit\"} 1",
        "connector_steps_total{result=\"finish\",step=\"save\"} 1",
        "connector_transferred_bytes_total{direction=\"received\",service=\"storage\"} 5",
        "connector_watermarks_paid_total 1",
        "connector_worker_slots 16",
    ];
    assert_eq!(moved, expected);
}

#[test]
fn a_limit_that_is_not_set_has_no_series() {
    let metrics = Metrics::new();
    assert!(!metrics.render().contains("connector_limit_remaining_assets"));
    metrics.limit_leaves("assets_per_day", 3);
    assert!(lines(&metrics).contains("connector_limit_remaining_assets{limit=\"assets_per_day\"} 3"));
}

#[test]
fn every_outcome_is_counted_under_its_own_name_and_a_failure_under_its_class() {
    let metrics = Metrics::new();
    for outcome in outcomes() {
        metrics.job_ended(&job().ended(outcome, Timestamp::now()), Timestamp::now());
    }
    let lines = lines(&metrics);
    for outcome in Outcome::NAMES {
        assert!(lines.contains(&format!("connector_jobs_total{{outcome=\"{outcome}\"}} 1")), "{outcome}");
    }
    assert!(lines.contains("connector_jobs_failed_total{class=\"refused\"} 1"));
    assert!(lines.contains("connector_job_end_to_end_seconds_count 6"));
}

#[test]
fn a_result_counts_once_for_each_reason_that_kept_it_from_being_checked() {
    let metrics = Metrics::new();
    let unmade = [
        (Check::Alpha, Obstacle::Unreadable),
        (Check::Dpi, Obstacle::Unreadable),
        (Check::Pages, Obstacle::Unstated),
    ];
    let ended = job().ended(Outcome::Watermarked { version: 2 }, Timestamp::now());
    metrics.job_ended(&OutcomeEvent { unchecked: unmade.into_iter().collect(), ..ended }, Timestamp::now());
    let counted = lines(&metrics);
    let counted = counted.iter().filter(|line| line.contains("unchecked") && line.ends_with(" 1"));
    let reasons = ["unreadable", "unstated"];
    let wanted = reasons.map(|reason| format!("connector_unchecked_results_total{{reason=\"{reason}\"}} 1"));
    assert_eq!(counted.cloned().collect::<Vec<_>>(), wanted);
}

#[test]
fn only_the_first_taking_of_a_job_is_a_wait_in_the_queue() {
    let metrics = Metrics::new();
    for job in
        [Job { suspect: true, ..job() }, Job { waited_ms: 5, ..job() }, Job { step: Step::Save, ..job() }]
    {
        drop(metrics.step_started(&job));
    }
    assert!(lines(&metrics).contains("connector_job_queue_wait_seconds_count 0"));
}

#[test]
fn a_connection_that_comes_back_is_one_more_connection() {
    let metrics = Metrics::new();
    for connected in [true, false, false, true] {
        metrics.broker_measured(connected, 0);
    }
    assert!(lines(&metrics).contains("connector_broker_reconnects_total 2"));
}

#[test]
fn only_a_run_that_looked_at_everything_is_a_success() {
    let metrics = Metrics::new();
    let succeeded =
        |metrics: &Metrics| !metrics.render().contains("last_success_timestamp_seconds{mode=\"delta\"} 0\n");
    for result in [RunResult::Failed, RunResult::Stopped, RunResult::Limited] {
        metrics.run_ended(RunMode::Delta, result, Duration::ZERO);
    }
    assert!(!succeeded(&metrics));
    for result in [RunResult::Done, RunResult::Empty] {
        let metrics = Metrics::new();
        metrics.run_ended(RunMode::Delta, result, Duration::ZERO);
        assert!(succeeded(&metrics));
    }
}
