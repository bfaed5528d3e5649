//! Log lines for programs: one flat JSON object each. The fields of an event's spans, such as the job, are on the same level as
//! its own, so that a search for a job does not depend on the structure of the spans.

use std::fmt::{self, Debug};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::output::shown_in_json;

/// Formats events; the fields of spans must have been formatted as JSON objects.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>().map(|fields| fields.fields.as_str());
            if let Some(Ok(Value::Object(fields))) = fields.map(serde_json::from_str) {
                line.extend(fields);
            }
        }
        event.record(&mut Fields(&mut line));
        let metadata = event.metadata();
        line.insert("timestamp".to_owned(), Timestamp::now().to_string().into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        line.insert("target".to_owned(), metadata.target().into());
        writeln!(writer, "{}", shown_in_json(&Value::Object(line).to_string()))
    }
}

/// Collects an event's fields by name.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn note(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.note(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.note(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.note(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.note(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.note(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::fmt::format::JsonFields;

    use super::super::kept::Kept;
    use super::*;

    fn logged(work: impl FnOnce()) -> Vec<Value> {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        let text = kept.text();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_one_flat_object_with_what_its_surroundings_know() {
        let lines = logged(|| {
            let _step = tracing::error_span!("step", job_id = "j", trace_id = Some("t")).entered();
            tracing::warn!(attempt = 2, alone = true, error = %"no\n\"answer\"", "the step failed");
        });
        let [line] = &lines[..] else { panic!("{lines:?}") };
        let expected = serde_json::json!({
            "job_id": "j", "trace_id": "t", "attempt": 2, "alone": true, "error": "no\n\"answer\"",
            "message": "the step failed", "level": "WARN",
            "target": "cli::log::json::tests", "timestamp": line["timestamp"],
        });
        assert_eq!(*line, expected);
        assert!(line["timestamp"].as_str().unwrap().parse::<Timestamp>().is_ok());
    }

    #[test]
    fn an_event_knows_itself_better_than_its_surroundings_do() {
        let lines = logged(|| {
            let _step = tracing::error_span!("step", step = "save").entered();
            tracing::info!(step = "submit", "forward");
        });
        assert_eq!(lines[0]["step"], "submit");
    }
}
