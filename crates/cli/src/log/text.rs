//! Log lines for people: the fields of an event, escaped so that none can act on the terminal or begin another line.

use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use crate::output::shown;

/// Formats the fields of events and spans.
pub(super) struct TextFields;

impl<'writer> FormatFields<'writer> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut text = Text { writer, is_first: true, written: Ok(()) };
        fields.record(&mut text);
        text.written
    }
}

struct Text<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    written: fmt::Result,
}

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Events from the `log` crate repeat their target and location in these fields.
        if self.written.is_err() || field.name().starts_with("log.") {
            return;
        }
        let space = if std::mem::take(&mut self.is_first) { "" } else { " " };
        let name = if field.name() == "message" { String::new() } else { format!("{}=", field.name()) };
        self.written = write!(self.writer, "{space}{name}{}", shown(&format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::Kept;
    use super::*;

    #[test]
    fn no_field_of_a_line_acts_on_the_terminal_or_begins_another_line() {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(TextFields)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let hostile = "a\u{1b}[2J\n\u{9b}\u{202e}b";
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(error = %hostile, name = hostile, count = 2, "it failed: {hostile}");
        });
        let text = kept.text();
        let line = text.strip_suffix('\n').unwrap();
        let escaped = r"a\u{1b}[2J\u{a}\u{9b}\u{202e}b";
        let quoted = r#""a\u{1b}[2J\n\u{9b}\u{202e}b""#;
        let expected = format!("it failed: {escaped} error={escaped} name={quoted} count=2");
        assert!(line.ends_with(&expected), "{line:?}");
    }
}
