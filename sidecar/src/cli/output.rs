//! What the command writes, and how it fails.

use std::io::{self, IsTerminal, Write};

use serde_json::json;

use crate::printable;

use super::args::Format;
use super::client::ClientError;

/// Where the command writes: results, and remarks on them.
pub(crate) struct Output {
    results: Box<dyn Write + Send>,
    remarks: Box<dyn Write + Send>,
    /// Whether a person reads the results.
    at_terminal: bool,
}

impl Output {
    /// The process' own streams.
    pub(crate) fn of_process() -> Self {
        let at_terminal = io::stdout().is_terminal();
        Self { at_terminal, ..Self::new(io::stdout(), io::stderr()) }
    }

    /// Writes results to one place and remarks to another.
    pub(crate) fn new(
        results: impl Write + Send + 'static,
        remarks: impl Write + Send + 'static,
    ) -> Self {
        Self { results: Box::new(results), remarks: Box::new(remarks), at_terminal: false }
    }

    /// Writes a line of the result.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.text(line)?;
        self.text("\n")
    }

    /// Writes a line of JSON, or several, with control characters escaped.
    pub(crate) fn json(&mut self, json: &str) -> Result<(), Failure> {
        self.line(&printable::json(json))
    }

    /// Writes somebody's text and a newline: to a file or a program as it is, to a terminal with control
    /// characters escaped.
    pub(crate) fn foreign(&mut self, text: &str) -> Result<(), Failure> {
        if self.at_terminal { self.line(&printable::lines(text)) } else { self.line(text) }
    }

    /// Writes text of the result.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.results.write_all(text.as_bytes())?;
        self.results.flush()?;
        Ok(())
    }

    /// Prints why a command failed, if it did, and returns its exit code. Programs read the reason
    /// where they read results.
    pub(crate) fn finish(&mut self, result: Result<bool, Failure>, format: Format) -> i32 {
        match result {
            Ok(true) => 0,
            Ok(false) => 1,
            // The reader of the output has closed it, as `head` does.
            Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Err(failure) => {
                let text = failure.to_string();
                let written = format == Format::Json
                    && self.json(&json!({ "error": text }).to_string()).is_ok();
                if !written {
                    self.complain(&text);
                }
                failure.exit_code()
            }
        }
    }

    /// Says what is amiss. There is nowhere to say that it could not be said.
    pub(crate) fn complain(&mut self, what: &str) {
        let _ = writeln!(self.remarks, "grape: {what}");
    }
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The result could not be written.
    #[error("cannot write the result: {0}")]
    Write(#[from] io::Error),
    /// The Grape could not be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The Grape said no.
    #[error("the Grape refused: {0}")]
    Refused(String),
    /// The Grape does not announce it.
    #[error("held back: {0}")]
    HeldBack(String),
    /// The Grape does not announce it, and another may.
    #[error("{0}")]
    NotAnnounced(String),
    /// What was given is not what it should be.
    #[error("{0}")]
    Usage(String),
}

impl Failure {
    /// The command's exit code.
    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            Self::Refused(_) | Self::HeldBack(_) | Self::NotAnnounced(_) => 1,
            Self::Write(_) | Self::Client(_) | Self::Usage(_) => 2,
        }
    }
}
