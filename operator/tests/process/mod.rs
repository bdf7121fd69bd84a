//! The command as a child process whose output is waited for, line by line.

pub mod ports;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use grape::clock;

/// Longer than anything here takes on a busy machine: what does not come in this time never comes.
const DEADLINE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// Asks again and again until there is an answer, and gives it.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = clock::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(clock::now() < end, "{what}: not within {DEADLINE:?}");
        thread::sleep(PAUSE);
    }
}

/// `grape-operator local` with its output. Killed when dropped.
pub struct Local {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Local {
    /// Starts it with these arguments.
    pub fn start(args: &[String]) -> Self {
        Self::start_with(args, &[])
    }

    /// Starts it with these arguments and variables.
    pub fn start_with(args: &[String], variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().copied();
        let mut local = Self::spawn(args, |command| command.envs(variables));
        local.lines = read_lines(local.child.stdout.take().unwrap());
        local
    }

    /// Starts it, and leaves its output to the caller.
    pub fn start_unread(args: &[String]) -> (Self, ChildStdout) {
        let mut local = Self::spawn(args, |command| command);
        let stdout = local.child.stdout.take().unwrap();
        (local, stdout)
    }

    /// Starts it as the caller wants it, whose its output is.
    pub fn spawn(args: &[String], with: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grape-operator"));
        command
            .arg("local")
            .args(args)
            .env_remove("GRAPE_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = with(&mut command).spawn().unwrap();
        Self { child, lines: channel().1, seen: Vec::new() }
    }

    /// Waits for a line with this text, and gives it. Lines before it are passed over.
    pub fn wait_for(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(DEADLINE);
            match line {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no {text:?} came after:\n{}", self.seen.join("\n"))
                }
                Err(RecvTimeoutError::Disconnected) => panic!(
                    "it ended before {text:?} came:\n{}\n{}",
                    self.seen.join("\n"),
                    self.errors()
                ),
            }
        }
    }

    /// The lines that were read so far.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Ends it without a drain.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its exit code, once it has ended.
    pub fn exit_code(&mut self) -> Option<i32> {
        let what = format!("its end after:\n{}", self.seen.join("\n"));
        until(&what, || self.child.try_wait().unwrap()).code()
    }

    /// What it wrote to standard error, once it has ended.
    pub fn errors(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut text).unwrap();
        }
        text
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines as they come.
fn read_lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
