//! Why a Grape does not start: in the last words of its log, or the node's. Pure.

use std::fmt;

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, PodStatus,
};
use serde_json::Value;

use super::words;

/// Most characters that are kept of a Grape's or a node's message.
const MAX_WORDS: usize = 200;
/// What registries and container runtimes say of a pull without a login, or with one that does not
/// suffice.
const REFUSED: [&str; 6] = [
    "unauthorized",
    "authorization",
    "authentication",
    "denied",
    "forbidden",
    "no basic auth credentials",
];
/// The steps of containerd that precede the cause of a failed pull.
const PULL_STEPS: [&str; 2] = ["failed to pull and unpack image", "failed to resolve reference"];
/// Most characters of an event's reason: others may write events with long ones.
const MAX_REASON: usize = 64;

/// Why a Grape does not become ready by waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// The problem.
    why: String,
    /// The message, in one line; none without any.
    words: Option<String>,
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        self.words.iter().try_for_each(|words| write!(f, ": {words}"))
    }
}

impl From<&str> for Failing {
    fn from(why: &str) -> Self {
        Self { why: why.to_owned(), words: None }
    }
}

impl Failing {
    pub(super) fn new(why: impl Into<String>, words: Option<&str>) -> Self {
        let words =
            words.map(|words| words::line(words, MAX_WORDS)).filter(|words| !words.is_empty());
        Self { why: why.into(), words }
    }

    /// The same failure, with what would help after the message.
    fn with(mut self, remedy: &str) -> Self {
        self.words = self.words.map(|words| format!("{words} ({remedy})"));
        self
    }

    /// The failure of a pod whose node does not start it, with this `reason` and `message`.
    pub fn of_node(reason: &str, message: &str) -> Self {
        let said = message.rsplit_once(" desc = ").map_or(message, |(_, said)| said);
        match is_of_memory(said) {
            true => Self::from("its memory does not suffice to start it: raise its limit"),
            false => {
                let reason = words::line(reason, MAX_REASON);
                Self::new(format!("its node does not start it ({reason})"), Some(said))
            }
        }
    }

    /// Whether it is the same failure in other words: those of two tries differ by times, ports and
    /// ids.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let shape = |words: &str| words.replace(|c: char| c.is_ascii_hexdigit(), "");
        self.why == other.why
            && match (&self.words, &other.words) {
                (Some(one), Some(two)) => shape(one) == shape(two),
                // Between two tries a node has no message.
                (_, None) => true,
                (None, Some(_)) => false,
            }
    }
}

/// Why the Grape in a container that is not ready does not start. A container that has ended twice,
/// the last time `lately`, keeps ending: it runs for a moment in between, and is failing all the
/// while. `secrets` says which field needs which Secret where a registry refuses the pull.
pub fn container(status: &ContainerStatus, lately: bool, secrets: &str) -> Option<Failing> {
    let ContainerState { waiting, terminated, .. } = status.state.as_ref()?;
    let image = &status.image;
    let reason = waiting.as_ref().and_then(|waiting| waiting.reason.as_deref());
    let message = waiting.as_ref().and_then(|waiting| waiting.message.as_deref());
    match reason {
        Some("ErrImagePull" | "ImagePullBackOff") => {
            let why = format!("its image {image} cannot be fetched");
            let words = message.and_then(pull);
            let failing = Failing::new(why, words);
            return Some(match words.is_some_and(is_refused) {
                true => failing.with(secrets),
                false => failing,
            });
        }
        Some("ErrImageNeverPull") => {
            let why = format!(
                "its image {image} is not on the node, and imagePullPolicy forbids to pull it"
            );
            return Some(Failing::new(why, None));
        }
        Some("InvalidImageName") => {
            return Some(Failing::new(format!("its image {image} has no valid name"), None));
        }
        Some(
            why @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError"),
        ) => {
            if let Some(words) = message.filter(|words| is_of_memory(words)) {
                return Some(Failing::of_node(why, words));
            }
            return Some(Failing::new(format!("its container cannot be made ({why})"), message));
        }
        _ => {}
    }
    let ended = terminated.as_ref().or_else(|| last(status))?;
    let down = terminated.is_some() || reason == Some("CrashLoopBackOff");
    (down || (lately && status.restart_count >= 2)).then(|| match ended.reason.as_deref() {
        Some("OOMKilled") => Failing::from("it is killed for its memory: raise its limit"),
        _ => {
            let words = ended.message.as_deref();
            if let Some(words) = words.filter(|words| is_of_memory(words)) {
                return Failing::of_node("StartError", words);
            }
            let words = words.and_then(last_words);
            Failing::new(format!("it ends with exit code {}", ended.exit_code), words.as_deref())
        }
    })
}

/// Why a pod has failed as a whole: its node refused or evicted it.
pub fn pod(status: &PodStatus) -> Option<Failing> {
    let reason = status.reason.as_ref().filter(|_| status.phase.as_deref() == Some("Failed"))?;
    Some(Failing::new(format!("its node does not run it ({reason})"), status.message.as_deref()))
}

/// How a container ended before its present run or wait.
pub fn last(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.last_state.as_ref()?.terminated.as_ref()
}

/// Whether the container runtime says that memory was too short before the program began.
fn is_of_memory(words: &str) -> bool {
    words.contains("OOM-killed") || words.contains("memory limit too low")
}

/// A node's message about an image that it cannot fetch, without the parts that differ each time.
fn pull(message: &str) -> Option<&str> {
    let words = match message.split_once("ErrImagePull: ") {
        Some((_, words)) => words,
        // The back-off has no other message.
        None if message.starts_with("Back-off ") => return None,
        None => message,
    };
    let words = words.split_once(" desc = ").map_or(words, |(_, words)| words);
    Some(PULL_STEPS.iter().fold(words, |words, step| after_step(words, step)))
}

/// A message without its first clause, if that is this step and the image in quotes: the image is
/// named before, and with a digest it would take the place of the cause.
fn after_step<'a>(words: &'a str, step: &str) -> &'a str {
    let rest = words.strip_prefix(step).and_then(|rest| rest.strip_prefix(" \""));
    rest.and_then(|rest| rest.split_once("\": ")).map_or(words, |(_, cause)| cause)
}

/// Whether the registry wants a login for an image, or another one.
fn is_refused(words: &str) -> bool {
    let words = words.to_lowercase();
    REFUSED.iter().any(|refused| words.contains(refused))
}

/// Why a Grape ended, by the end of its log: the line with the error, or else the last logged
/// error, or else the last line.
fn last_words(log: &str) -> Option<String> {
    let lines: Vec<_> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = lines.iter().rev().find_map(|line| {
        // The second form is about unknown flags.
        line.strip_prefix("grape: ").or_else(|| line.strip_prefix("error: ")).map(str::to_owned)
    });
    let logged = || lines.iter().rev().find_map(|line| logged(line, Some("ERROR")));
    let last = || {
        let line = lines.last()?;
        Some(self::logged(line, None).unwrap_or_else(|| (*line).to_owned()))
    };
    said.or_else(logged).or_else(last)
}

/// The message of a line of a log in JSON, if it is one of this level.
fn logged(line: &str, level: Option<&str>) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let is_it = level.is_none_or(|level| line["level"] == level);
    line["message"].as_str().filter(|_| is_it).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::of_its_own(
        "{\"level\":\"INFO\",\"message\":\"a\"}\ngrape: cannot bind the API to [::]:80 (--api_port): \
         permission denied\n",
        Some("cannot bind the API to [::]:80 (--api_port): permission denied")
    )]
    #[case::of_its_flags(
        "error: unexpected argument '--x' found\n\nUsage: grape [OPTIONS]\n\nFor more, try '--help'.\n",
        Some("unexpected argument '--x' found")
    )]
    #[case::of_its_log(
        "{\"level\":\"ERROR\",\"message\":\"panicked at a.rs:1:\\nno\"}\n{\"level\":\"INFO\",\
         \"message\":\"b\"}",
        Some("panicked at a.rs:1:\nno")
    )]
    #[case::no_error("{\"level\":\"INFO\",\"message\":\"a\"}", Some("a"))]
    #[case::another_program("a\n  b \n\n", Some("b"))]
    #[case::cut_off("vel\":\"INFO\",\"message\":\"a\"}", Some("vel\":\"INFO\",\"message\":\"a\"}"))]
    #[case::nothing("\n", None)]
    fn the_last_words_are_the_reason(#[case] log: &str, #[case] expected: Option<&str>) {
        assert_eq!(last_words(log).as_deref(), expected);
    }

    #[rstest]
    #[case(
        "Back-off pulling image \"a\": ErrImagePull: rpc error: code = NotFound desc = no such image",
        Some("no such image")
    )]
    #[case("failed to pull and unpack image", Some("failed to pull and unpack image"))]
    #[case(
        "rpc error: code = Unknown desc = failed to pull and unpack image \"a@sha256:0\": failed to \
         resolve reference \"a@sha256:0\": pull access denied",
        Some("pull access denied")
    )]
    #[case("Back-off pulling image \"a\"", None)]
    fn the_node_says_why_it_cannot_pull(#[case] message: &str, #[case] words: Option<&str>) {
        assert_eq!(pull(message), words);
    }

    fn waiting(message: &str) -> ContainerStatus {
        serde_json::from_value(serde_json::json!({
            "name": "grape", "image": "a", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ErrImagePull", "message": message}},
        }))
        .unwrap()
    }

    #[rstest]
    #[case::no_login(
        "pull access denied, repository does not exist or may require authorization",
        true
    )]
    #[case::another_login("unexpected status from HEAD request: 403 Forbidden", true)]
    #[case::google("failed to fetch anonymous token: 401 Unauthorized", true)]
    #[case::no_such_tag("a: not found", false)]
    #[case::no_registry("dial tcp: lookup registry.example.org: no such host", false)]
    fn a_refused_pull_is_told_with_the_field_that_needs_a_secret(
        #[case] message: &str,
        #[case] refused: bool,
    ) {
        let failing = container(&waiting(message), true, "b needs a Secret").unwrap();
        let end = if refused { " (b needs a Secret)" } else { "" };
        assert_eq!(failing.to_string(), format!("its image a cannot be fetched: {message}{end}"));
    }
}
