//! Shows the progress of long work: a bar on a terminal, a line now and then elsewhere.

use common::visible;
use std::time::{Duration, Instant};

use budget::Figures;
use cli::output;
use indicatif::{ProgressBar, ProgressStyle};
use ledger::Tally;
use queue::Depth;
use wiring::quiet_hours::Effect;

/// How often a line is written if there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What a person sees of a running run.
pub struct Progress {
    kind: Kind,
}

/// What holds up a run, besides the budget.
#[derive(Debug, Clone, Copy, Default)]
pub struct Delays {
    /// How long Imatag is not called.
    pub imatag_pause: Option<Duration>,
    /// The quiet hours in effect.
    pub quiet_hours: Option<Effect>,
}

enum Kind {
    Silent,
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Progress {
    /// A bar, lines or, if `quiet`, nothing.
    pub fn new(quiet: bool) -> Self {
        let kind = if quiet {
            Kind::Silent
        } else if output::is_watched() {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}") {
                bar.set_style(style);
            }
            Kind::Bar(bar)
        } else {
            Kind::Lines { last: Instant::now() }
        };
        Self { kind }
    }

    /// Shows how far the run is, and what holds it up, if anything.
    pub fn show(&mut self, tally: &Tally, depth: &Depth, figures: &Figures, others: &Delays) {
        let ended: u64 = tally.outcomes.values().sum();
        let failed = tally.count("failed");
        let done = ended - failed;
        let silence = figures.silence.map(|left| format!(", Bynder silences us for {} s", left.as_secs()));
        let paused = figures.operator_pause.then(|| ", paused by a person".to_owned());
        let imatag =
            others.imatag_pause.map(|left| format!(", Imatag asks to wait for {} s", left.as_secs()));
        let quiet = others.quiet_hours.map(|effect| format!(", quiet hours until {}", effect.until));
        let pause = silence.or(paused).or(imatag).or(quiet).unwrap_or_default();
        match &mut self.kind {
            Kind::Bar(bar) => {
                bar.set_length(ended + depth.open());
                bar.set_position(ended);
                let message = format!("{failed} failed, {} waiting{pause}", depth.waiting);
                bar.set_message(visible::shown(&message).into_owned());
            }
            Kind::Lines { last } if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                let open = depth.open();
                output::talk(&format!(
                    "{done} done, {failed} failed, {open} to do ({} waiting){pause}",
                    depth.waiting
                ));
            }
            Kind::Silent | Kind::Lines { .. } => {}
        }
    }

    /// Removes the bar; nothing is shown after this.
    pub fn end(&mut self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
        self.kind = Kind::Silent;
    }
}
