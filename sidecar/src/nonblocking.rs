//! Writing that never blocks, for output whose reader may stop reading.
//!
//! A write to a full pipe blocks. The one thread that serves the API and the DHT must not block, so a
//! thread of their own writes its lines. Lines that find no room are dropped and counted.
//!
//! `tracing-appender` does much of this. But it bounds lines, not bytes, and its guard writes to
//! standard error when it cannot flush: a process whose log is not read would never end.

use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::warn;

/// Most bytes that wait to be written. As many again may be on their way.
const MAX_PENDING: usize = 64 << 10;

/// Pause before another try on a descriptor that does not block: another process that has the same
/// pipe may have set `O_NONBLOCK`.
const PAUSE: Duration = Duration::from_millis(10);

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines dropped by all writers of this process since it started.
pub fn lines_dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// A writer that never blocks. Its clones write to the same place.
///
/// Once the reader is back, the number of dropped lines is logged.
#[derive(Debug, Clone)]
pub struct NonBlocking(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pending: Vec<u8>,
    /// What was taken of `pending` is being written.
    writing: bool,
    /// Lines dropped, and not logged yet.
    dropped: u64,
    /// Their number is being logged. That line is never dropped.
    is_logging: bool,
    /// Why the last write failed, until [`NonBlocking::flush`] has returned it.
    failure: Option<ErrorKind>,
}

impl NonBlocking {
    /// Writes to `out`, which is called `name` in messages. The thread that does so lives as long as
    /// the process.
    ///
    /// # Errors
    /// When the system has no thread.
    pub fn new(name: &'static str, out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        thread::Builder::new().name(name.to_owned()).spawn(move || own.write_all(name, out))?;
        Ok(Self(shared))
    }

    /// Waits until all is written, for so long at most; whether it is.
    pub fn drain(&self, within: Duration) -> bool {
        let busy = |state: &mut State| state.writing || !state.pending.is_empty();
        let waited = self.0.changed.wait_timeout_while(self.0.lock(), within, busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Write for NonBlocking {
    /// Takes all of `bytes`, or drops all of them. Never fails, and never waits.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.pending.len() + bytes.len() > MAX_PENDING && !state.is_logging {
            state.drop_lines(bytes);
        } else {
            state.pending.extend_from_slice(bytes);
            self.0.changed.notify_all();
        }
        Ok(bytes.len())
    }

    /// Returns the error of an earlier write, once. Does not wait: see [`NonBlocking::drain`].
    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().failure.take().map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl State {
    fn drop_lines(&mut self, bytes: &[u8]) {
        let lines = bytes.iter().filter(|&&byte| byte == b'\n').count().max(1);
        let lines = u64::try_from(lines).unwrap_or(u64::MAX);
        self.dropped = self.dropped.saturating_add(lines);
        DROPPED.fetch_add(lines, Ordering::Relaxed);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs how many lines were dropped.
    fn tell(&self, name: &str, dropped: u64) {
        self.lock().is_logging = true;
        warn!(
            lines = dropped,
            "{dropped} {name} lines were dropped: the reader of the {name} did not keep up"
        );
        self.lock().is_logging = false;
    }

    /// Writes what is pending, for ever.
    fn write_all(&self, name: &str, mut out: impl Write) {
        loop {
            let idle = |state: &mut State| state.pending.is_empty();
            let waited = self.changed.wait_while(self.lock(), idle);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            let bytes = mem::take(&mut state.pending);
            // They came after these bytes.
            let dropped = mem::take(&mut state.dropped);
            state.writing = true;
            drop(state);
            match write_patiently(&mut out, &bytes) {
                Ok(()) if dropped > 0 => self.tell(name, dropped),
                Ok(()) => {}
                // Nothing is logged for a reader that is gone: that line would fail too, and so on.
                Err(error) => {
                    let mut state = self.lock();
                    state.dropped = state.dropped.saturating_add(dropped);
                    state.drop_lines(&bytes);
                    state.failure = Some(error.kind());
                }
            }
            self.lock().writing = false;
            self.changed.notify_all();
        }
    }
}

/// Writes all of it, however long the other end takes to read it.
fn write_patiently(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Far longer than anything here takes.
    const LONG: Duration = Duration::from_secs(30);

    /// Writes once for each outcome that it is sent.
    struct Gate {
        outcomes: Receiver<io::Result<usize>>,
        seen: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = self.outcomes.recv().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
            let _ = self.seen.send(bytes[..written].to_vec());
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Scene {
        writer: NonBlocking,
        outcomes: Sender<io::Result<usize>>,
        seen: Receiver<Vec<u8>>,
    }

    fn scene() -> Scene {
        let (outcomes, gate) = channel();
        let (sender, seen) = channel();
        let writer = NonBlocking::new("test", Gate { outcomes: gate, seen: sender }).unwrap();
        Scene { writer, outcomes, seen }
    }

    #[test]
    fn lines_without_room_are_dropped_and_counted() {
        let Scene { mut writer, outcomes, seen } = scene();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        let before = lines_dropped();
        writer.write_all(&line).unwrap();
        // The first line is on its way, so that all others wait, or find no room.
        let begun = crate::clock::now();
        while !writer.0.lock().writing {
            assert!(begun.elapsed() < LONG, "the first line is not taken");
            thread::sleep(PAUSE);
        }
        let lines = 2 * MAX_PENDING / line.len();
        for _ in 1..lines {
            writer.write_all(&line).unwrap();
        }
        assert!(!writer.drain(Duration::ZERO), "nobody reads");
        assert!(writer.0.lock().pending.len() <= MAX_PENDING);
        let dropped = writer.0.lock().dropped;
        assert!(dropped > 0 && lines_dropped() >= before + dropped, "{dropped}");
        drop(outcomes);
        assert!(writer.drain(LONG), "all is read");
        let read: usize = seen.try_iter().map(|bytes| bytes.len()).sum();
        assert_eq!(read / line.len(), lines - usize::try_from(dropped).unwrap());
        assert_eq!(writer.0.lock().dropped, 0, "their number is logged");
    }

    #[test]
    fn lines_longer_than_the_buffer_are_dropped() {
        let Scene { mut writer, .. } = scene();
        writer.write_all(&vec![b'x'; MAX_PENDING + 1]).unwrap();
        assert_eq!(writer.0.lock().dropped, 1);
    }

    #[test]
    fn a_writer_that_takes_little_or_nothing_for_now_is_tried_again() {
        let Scene { mut writer, outcomes, seen } = scene();
        writer.write_all(b"line\n").unwrap();
        let would_block = Err(ErrorKind::WouldBlock.into());
        for outcome in [Ok(2), would_block, Err(ErrorKind::Interrupted.into()), Ok(3)] {
            outcomes.send(outcome).unwrap();
        }
        assert!(writer.drain(LONG));
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [b"li".as_slice(), b"ne\n"]);
        writer.flush().unwrap();
    }

    #[test]
    fn a_lost_reader_is_reported_once_and_takes_no_time() {
        let Scene { mut writer, outcomes, .. } = scene();
        outcomes.send(Err(ErrorKind::BrokenPipe.into())).unwrap();
        writer.write_all(b"one\ntwo\n").unwrap();
        assert!(writer.drain(LONG));
        assert_eq!(writer.0.lock().dropped, 2);
        assert_eq!(writer.flush().unwrap_err().kind(), ErrorKind::BrokenPipe);
        writer.flush().unwrap();
    }
}
