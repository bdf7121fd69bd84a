//! Output to a terminal or a pipe, until its reader is gone.

use std::io::{self, Write};

/// A writer whose reader may go away, as in `grape-operator local | head`: that is no error.
pub struct Screen<W> {
    out: W,
    read: bool,
}

impl<W: Write> Screen<W> {
    /// Shows text at `out`.
    pub fn new(out: W) -> Self {
        Self { out, read: true }
    }

    /// Whether what is said still has a reader.
    pub fn is_read(&self) -> bool {
        self.read
    }

    /// Shows `text` at once. That the reader is gone shows when there is nothing to say too.
    ///
    /// # Errors
    ///
    /// It cannot be written, and not because the reader is gone.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        self.write_all(text.as_bytes())?;
        self.flush()
    }

    /// The result of a write, or `gone` if the reader is gone.
    fn unless_gone<T>(&mut self, written: io::Result<T>, gone: T) -> io::Result<T> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.read = false;
                Ok(gone)
            }
            written => written,
        }
    }
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if !self.read {
            return Ok(text.len());
        }
        let written = self.out.write(text);
        self.unless_gone(written, text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.read {
            return Ok(());
        }
        let flushed = self.out.flush();
        self.unless_gone(flushed, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn text_is_written_as_it_is() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out);
        screen.say("one\n").unwrap();
        screen.say("two\n").unwrap();
        assert!(screen.is_read());
        assert_eq!(out, b"one\ntwo\n");
    }

    #[test]
    fn a_reader_that_is_gone_is_no_error() {
        let mut out = Closed;
        let mut screen = Screen::new(&mut out);
        screen.say("one\n").unwrap();
        assert!(!screen.is_read());
        screen.say("two\n").unwrap();
    }
}
