//! Child processes that end with their test, and whose output is shown when it fails.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::wait::DEADLINE;

/// How many lines of output are shown when a test fails.
const SHOWN: usize = 60;

/// A child process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    output: Arc<Mutex<Vec<Line>>>,
    // Counts the lines, and closes when standard output has ended.
    said: watch::Receiver<usize>,
}

#[derive(Debug)]
struct Line {
    text: String,
    from_stdout: bool,
    taken: bool,
}

impl Process {
    /// Starts a command. `name` is what it is called in messages.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: impl Into<String>, command: &mut Command) -> Result<Self> {
        let name = name.into();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}: {:?}", command.as_std()))?;
        let output = Arc::new(Mutex::new(Vec::new()));
        let (counted, said) = watch::channel(0);
        let stdout = child.stdout.take().context("standard output is piped")?;
        let stderr = child.stderr.take().context("standard error is piped")?;
        tokio::spawn(collect(stdout, Arc::clone(&output), true, Some(counted)));
        tokio::spawn(collect(stderr, Arc::clone(&output), false, None));
        let stdin = child.stdin.take();
        Ok(Self { name, child, stdin, output, said })
    }

    /// The process's id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The first line of standard output from which `pick` takes something, and that was not taken
    /// before. Other lines stay for later calls.
    ///
    /// # Errors
    /// When the process ends its output or [`DEADLINE`] passes before.
    pub async fn next<T>(&mut self, what: &str, pick: impl Fn(&str) -> Option<T>) -> Result<T> {
        let end = Instant::now() + DEADLINE;
        loop {
            // Marked as seen before the search, so that what comes meanwhile counts as a change.
            self.said.mark_unchanged();
            if let Some(found) = self.take(&pick) {
                return Ok(found);
            }
            match timeout_at(end, self.said.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => match self.take(&pick) {
                    Some(found) => return Ok(found),
                    None => bail!("{} ended without: {what}\n{}", self.name, self.shown()),
                },
                Err(_) => bail!("{}: no {what} in {DEADLINE:?}\n{}", self.name, self.shown()),
            }
        }
    }

    fn take<T>(&self, pick: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.iter_mut().filter(|line| line.from_stdout && !line.taken).find_map(|line| {
            let found = pick(&line.text);
            line.taken = found.is_some();
            found
        })
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// When it no longer reads.
    pub async fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("its standard input is closed")?;
        let written = async {
            stdin.write_all(format!("{line}\n").as_bytes()).await?;
            stdin.flush().await
        };
        let outcome = written.await;
        outcome.map_err(|error| anyhow!("{} does not read: {error}\n{}", self.name, self.shown()))
    }

    /// Ends its standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When [`DEADLINE`] passes before.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        match timeout(DEADLINE, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("{} did not end in {DEADLINE:?}\n{}", self.name, self.shown()),
        }
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// When the system does not answer.
    pub fn has_ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends it a signal, such as `TERM`.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.pid().with_context(|| format!("{} has ended", self.name))?;
        let sent = Command::new("kill").args(["-s", signal, &pid.to_string()]).status().await?;
        ensure!(sent.success(), "cannot send {signal} to {}: {sent}", self.name);
        Ok(())
    }

    /// What it wrote to standard error so far, line by line.
    pub fn errors(&self) -> Vec<String> {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.iter().filter(|line| !line.from_stdout).map(|line| line.text.clone()).collect()
    }

    /// Kills it (SIGKILL, by its id), and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.start_kill()?;
        timeout(Duration::from_secs(10), self.child.wait()).await??;
        Ok(())
    }

    /// The end of its output, for a message.
    pub fn shown(&self) -> String {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = output.len().saturating_sub(SHOWN);
        let mut text = format!("--- output of {} ({left_out} lines left out)\n", self.name);
        for line in output.iter().skip(left_out) {
            text.push_str(if line.from_stdout { "  " } else { "! " });
            text.push_str(&line.text);
            text.push('\n');
        }
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.shown());
        }
    }
}

async fn collect(
    stream: impl AsyncRead + Unpin,
    output: Arc<Mutex<Vec<Line>>>,
    from_stdout: bool,
    counted: Option<watch::Sender<usize>>,
) {
    let mut stream = BufReader::new(stream);
    let mut bytes = Vec::new();
    while stream.read_until(b'\n', &mut bytes).await.is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        bytes.clear();
        let line = Line { text, from_stdout, taken: false };
        output.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        if let Some(counted) = &counted {
            counted.send_modify(|count| *count += 1);
        }
    }
}
