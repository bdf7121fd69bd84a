//! The log: lines on standard error. Logging never blocks.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use tracing::error;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{DefaultFields, FormatFields, Writer};
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, registry};

use crate::nonblocking::NonBlocking;
use crate::printable;

/// How long a process that ends waits until its last lines are read.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// An object for each line, for programs.
    Json,
}

/// What a filter is put upon: the registry, and the layer that writes lines.
pub type Lines = Layered<Box<dyn Layer<Registry> + Send + Sync>, Registry>;

/// The log of this process. Dropping it waits until the last lines are read, for a second at most.
#[derive(Debug)]
pub struct Log(NonBlocking);

impl Log {
    /// Writes a line as it is, past the filter.
    pub fn say(&mut self, line: &str) {
        // It never fails.
        let _ = self.0.write_all(format!("{line}\n").as_bytes());
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.drain(LAST_LINES);
    }
}

/// Parses what to log: a level, or levels of modules, separated by commas.
///
/// ```
/// assert!(grape::log::filter("info,grape::dht=debug").is_ok());
/// assert!(grape::log::filter("verbose").is_err());
/// ```
///
/// # Errors
/// When there is none, or a level that there is not. By itself [`Targets`] would take such a word for
/// a module, and log nothing.
pub fn filter(text: &str) -> Result<Targets, String> {
    const LEVELS: &str = "off, error, warn, info, debug or trace";
    let parts: Vec<_> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err(format!("a level is wanted: {LEVELS}"));
    }
    for part in &parts {
        let level = part.rsplit_once('=').map_or(*part, |(_, level)| level);
        if level.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "{level:?} is no level: {LEVELS}; a module has its own after =, as in \
                 info,grape::dht=debug"
            ));
        }
    }
    parts.join(",").parse().map_err(|error| format!("{error}"))
}

/// Sends the log, and what panics say, to standard error.
///
/// # Errors
/// When the system has no thread for it.
pub fn to_stderr(
    filter: impl Layer<Lines> + Send + Sync + 'static,
    format: Format,
) -> io::Result<Log> {
    let log = stderr()?;
    let writer = log.0.clone();
    let lines = fmt::layer().with_writer(move || writer.clone()).with_ansi(in_colour());
    let lines = match format {
        Format::Text => lines.fmt_fields(PrintableFields).boxed(),
        Format::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    // There is a subscriber already only where a test set one, which then does as well.
    let _ = registry().with(lines).with(filter).try_init();
    panic::set_hook(Box::new(|panic| error!("{panic}")));
    Ok(log)
}

/// The message and the fields of a line for people. Some of their text is from elsewhere: it forges no
/// other line, and no colours.
struct PrintableFields;

impl<'writer> FormatFields<'writer> for PrintableFields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> std::fmt::Result {
        let mut text = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut text), fields)?;
        writer.write_str(&printable::line(&text))
    }
}

/// Says a line on standard error where there is no log, or no longer.
pub fn say(line: &str) {
    match stderr() {
        Ok(mut log) => log.say(line),
        // If even this cannot be written, only the exit code says it.
        Err(_) => drop(writeln!(io::stderr(), "{line}")),
    }
}

fn stderr() -> io::Result<Log> {
    NonBlocking::new("log", io::stderr()).map(Log)
}

/// Whether lines have colours: on a terminal that shows them, unless `NO_COLOR`
/// (<https://no-color.org>) or `CLICOLOR=0` says otherwise.
fn in_colour() -> bool {
    io::stderr().is_terminal() && AutoStream::choice(&io::stderr()) != ColorChoice::Never
}
