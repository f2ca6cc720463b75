//! Log lines that name the request that they are about.
//!
//! A span would do so too. It is formatted, kept and entered for every request, though, and most
//! have nothing to log; here the request is asked for when there is a line.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::current_request;

/// The fields of a line of text, with the request before them.
#[derive(Debug)]
pub(super) struct NamedFields<F>(pub(super) F);

impl<'w, F: FormatFields<'w>> FormatFields<'w> for NamedFields<F> {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        if let Some(request) = current_request() {
            write!(writer, "request{{request.id={}}}: ", request.id)?;
        }
        self.0.format_fields(writer, fields)
    }
}

/// A line of JSON, with the request at its end, in the form of a span.
#[derive(Debug)]
pub(super) struct NamedObject<E>(pub(super) E);

impl<S, N, E> FormatEvent<S, N> for NamedObject<E>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    E: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(request) = current_request() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        let members = line.strip_suffix('}').unwrap_or(line);
        let id = serde_json::Value::from(&*request.id);
        let span = format!(r#"{{"request.id":{id},"name":"request"}}"#);
        writeln!(writer, r#"{members},"span":{span},"spans":[{span}]}}"#)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::fmt::format::DefaultFields;

    use super::*;
    use crate::telemetry::RequestTrace;

    /// What was logged.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Paper {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// What is written of a line within a request, and of one outside any.
    fn lines(paper: &Paper, logs: impl Subscriber + Send + Sync + 'static) -> Vec<String> {
        let trace = RequestTrace {
            id: Arc::from("a-name"),
            traceparent: None,
            tracestate: None,
        };
        let said = async { tracing::info!(count = 2, "said") };
        tracing::subscriber::with_default(logs, || {
            futures_util::FutureExt::now_or_never(trace.scope(said)).unwrap();
            tracing::info!(count = 3, "said");
        });
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_of_text_names_its_request_before_it_says_anything() {
        let paper = Paper::default();
        let logs = tracing_subscriber::fmt()
            .with_writer(paper.clone())
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .fmt_fields(NamedFields(DefaultFields::new()))
            .finish();
        let expected = [
            " INFO request{request.id=a-name}: said count=2",
            " INFO said count=3",
        ];
        assert_eq!(lines(&paper, logs), expected);
    }

    #[test]
    fn a_line_of_json_names_its_request_as_a_span() {
        let paper = Paper::default();
        let logs = tracing_subscriber::fmt()
            .with_writer(paper.clone())
            .without_time()
            .with_target(false)
            .json()
            .flatten_event(true)
            .map_event_format(NamedObject)
            .finish();
        let lines: Vec<serde_json::Value> = lines(&paper, logs)
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let span = json!({ "request.id": "a-name", "name": "request" });
        let expected = json!([
            { "level": "INFO", "message": "said", "count": 2, "span": span, "spans": [span] },
            { "level": "INFO", "message": "said", "count": 3 },
        ]);
        assert_eq!(json!(lines), expected);
    }
}
