//! Where text is shown, until nobody reads it.

use std::io::{self, Write};

/// A writer whose reader may go away, as in `grape-operator local | head`.
pub struct Screen<'a, W> {
    out: &'a mut W,
    read: bool,
}

impl<'a, W: Write> Screen<'a, W> {
    pub fn new(out: &'a mut W) -> Self {
        Self { out, read: true }
    }

    /// Whether what is said still has a reader.
    pub fn is_read(&self) -> bool {
        self.read
    }

    /// Shows `text` at once. A reader that is gone is no error; that it is gone shows when there is
    /// nothing to say too.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        if !self.read {
            return Ok(());
        }
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.read = false;
                Ok(())
            }
            written => written,
        }
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
