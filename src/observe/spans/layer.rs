//! [`trace_layer`]: puts what is logged through `tracing` into the record.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::around::author;
use super::on::{NAME, TARGET};
use crate::observe::{self, Author};

/// A layer of `tracing-subscriber` that puts log events and the fields of spans into the record, each with its
/// coroutine. Needs the feature `tracing`.
///
/// They come with the await stacks and locals in the report of a crash, on the inspector's screens (`field.url~VALUE`
/// filters them), and in traces. Events of functions run by [`run_in_thread`](crate::run_in_thread) belong to the
/// coroutine that stands for the thread; those of threads that tinyio did not start belong to the coroutine whose span
/// they are in, and are left out if they are in none. The fields of a span are those of the coroutine that enters it,
/// and stay when it is left: the newest value of each counts.
///
/// Without a recording (see [Features](crate#features)) it does nothing. Values of fields whose names look like a
/// secret's are masked.
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// tracing_subscriber::registry().with(tinyio::trace_layer()).init();
/// tinyio::Loop::new().run(async {
///     tracing::info!(pages = 3, "fetched");
///     tinyio::Ok(())
/// })?;
/// # Ok::<_, tinyio::Crash>(())
/// ```
///
/// Filters decide which events and spans it gets, as with any layer: `trace_layer().with_filter(LevelFilter::INFO)`.
pub fn trace_layer() -> TraceLayer {
    TraceLayer(())
}

/// The layer that [`trace_layer`] makes.
#[derive(Debug)]
pub struct TraceLayer(());

/// What the layer keeps with each span.
struct Noted {
    fields: Fields,
    /// The author that entered it last.
    author: Option<Author>,
}

impl<S> Layer<S> for TraceLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !observe::may_record() {
            return;
        }
        let mut fields = Fields::default();
        // tinyio's own events about a coroutine are in its record already.
        if !(span.metadata().target() == TARGET && span.metadata().name() == NAME) {
            span.record(&mut fields);
        }
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Noted { fields, author: None });
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut new = Fields::default();
        values.record(&mut new);
        let author = note(&span, |noted| {
            for (name, value) in &new.named {
                match noted.fields.named.iter_mut().find(|(known, _)| known == name) {
                    Some((_, old)) => old.clone_from(value),
                    None => noted.fields.named.push((name, value.clone())),
                }
            }
            noted.author.clone()
        });
        if let Some(author) = author {
            tell(&author, span.name(), new.named);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let Some(author) = author().filter(Author::is_coroutine) else { return };
        let Some(span) = context.span(id) else { return };
        let fields = note(&span, |noted| {
            if noted.author.as_ref() == Some(&author) {
                return None;
            }
            noted.author = Some(author.clone());
            Some(noted.fields.named.clone())
        });
        tell(&author, span.name(), fields.unwrap_or_default());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let author = author().or_else(|| {
            let mut scope = context.event_scope(event)?;
            scope.find_map(|span| note(&span, |noted| noted.author.clone()))
        });
        let Some(author) = author else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let target = fields.target.unwrap_or_else(|| event.metadata().target().to_owned());
        author.record(event.metadata().level().as_str(), target, fields.message, fields.named);
    }
}

fn note<S, R>(span: &SpanRef<'_, S>, change: impl FnOnce(&mut Noted) -> Option<R>) -> Option<R>
where
    S: for<'a> LookupSpan<'a>,
{
    change(span.extensions_mut().get_mut()?)
}

/// Records each field separately: the newest value of each is kept.
fn tell(author: &Author, span: &str, fields: Vec<(&'static str, String)>) {
    for field in fields {
        author.record(observe::FIELD, span.to_owned(), String::new(), vec![field]);
    }
}

/// The fields of an event or a span, as text.
#[derive(Default)]
struct Fields {
    message: String,
    named: Vec<(&'static str, String)>,
    /// The target of an event of the crate `log`: its `tracing` target is always `log`.
    target: Option<String>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}");
        match field.name() {
            "message" => self.message = value,
            name if name.starts_with("log.") => {}
            name => self.named.push((name, value)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "log.target" => self.target = Some(value.to_owned()),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
