//! Which calls meet with which fault. Pure.

use std::time::Duration;

use hyper::{Method, StatusCode};
use kube::core::Status;
use kube::core::response::StatusDetails;
use serde_json::Value;

/// A request that went through the proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Its method. Server-side apply is a PATCH.
    pub method: Method,
    /// Its path, such as `/apis/apps/v1/namespaces/default/statefulsets/market-default`.
    pub path: String,
    /// What follows the `?`, as it was sent; empty without.
    pub query: String,
    /// Its body, if there is one that is JSON. kube sends server-side apply as JSON.
    pub body: Option<Value>,
}

impl Call {
    /// Whether it is to change something.
    pub fn is_write(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// Whether it watches, and so has an answer without end.
    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|part| matches!(part, "watch=true" | "watch=1"))
    }
}

/// Calls that a fault is for. They are counted from when the fault was scripted.
#[derive(Debug, Clone)]
pub struct Which {
    only: Only,
    method: Option<Method>,
    part: String,
    nth: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Only {
    Calls,
    Writes,
    Watches,
}

impl Which {
    /// Every call.
    pub fn calls() -> Self {
        Self { only: Only::Calls, method: None, part: String::new(), nth: None }
    }

    /// Every call that is to change something.
    pub fn writes() -> Self {
        Self { only: Only::Writes, ..Self::calls() }
    }

    /// Every watch.
    pub fn watches() -> Self {
        Self { only: Only::Watches, ..Self::calls() }
    }

    /// Of those, the ones with this method.
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        Self { method: Some(method), ..self }
    }

    /// Of those, the ones that have this in their path, such as `/statefulsets`.
    #[must_use]
    pub fn to(self, part: impl Into<String>) -> Self {
        Self { part: part.into(), ..self }
    }

    /// Of those, the `nth` alone, from 1.
    #[must_use]
    pub fn nth(self, nth: usize) -> Self {
        Self { nth: Some(nth), ..self }
    }

    fn matches(&self, call: &Call) -> bool {
        let kind = match self.only {
            Only::Calls => true,
            Only::Writes => call.is_write(),
            Only::Watches => call.is_watch(),
        };
        kind && self.method.as_ref().is_none_or(|method| *method == call.method)
            && call.path.contains(&self.part)
    }
}

/// What the proxy answers in place of the API server, in the same form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 403: there is no right to do it.
    Forbidden,
    /// 404.
    NotFound,
    /// 409: somebody else was faster.
    Conflict,
    /// 409: it is to be created, and is there.
    AlreadyExists,
    /// 410: a watch begins too far back.
    Expired,
    /// 422: the object breaks a rule.
    Invalid,
    /// 429, to be tried again after a second.
    TooManyRequests,
    /// 500.
    InternalError,
    /// 503.
    ServiceUnavailable,
}

impl Refusal {
    /// The status of the answer.
    pub fn code(self) -> StatusCode {
        match self {
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict | Self::AlreadyExists => StatusCode::CONFLICT,
            Self::Expired => StatusCode::GONE,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Seconds after which to try again.
    pub fn retry_after(self) -> Option<u32> {
        (self == Self::TooManyRequests).then_some(1)
    }

    /// The body of the answer. Its reason has the name of the refusal, as those of Kubernetes.
    pub fn status(self) -> Status {
        let mut status = Status::failure("scripted by the test", &format!("{self:?}"))
            .with_code(self.code().as_u16());
        status.details = self.retry_after().map(|seconds| StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after_seconds: seconds,
        });
        status
    }
}

/// What befalls a call.
#[derive(Debug, Clone)]
pub(super) enum Fault<H> {
    Refuse(Refusal),
    Delay(Duration),
    /// The API server has answered; the answer is held back.
    Hold(H),
    /// The answer has been delivered.
    Tell(H),
}

/// The faults that are still to come.
#[derive(Debug)]
pub(super) struct Script<H>(Vec<Line<H>>);

#[derive(Debug)]
struct Line<H> {
    which: Which,
    seen: usize,
    fault: Fault<H>,
}

impl<H: Clone> Script<H> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn add(&mut self, which: Which, fault: Fault<H>) {
        self.0.push(Line { which, seen: 0, fault });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What befalls this call, in the order of the script.
    pub(super) fn faults(&mut self, call: &Call) -> Vec<Fault<H>> {
        let mut faults = Vec::new();
        for line in self.0.iter_mut().filter(|line| line.which.matches(call)) {
            line.seen += 1;
            if line.which.nth.is_none_or(|nth| nth == line.seen) {
                faults.push(line.fault.clone());
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: Method, path: &str, query: &str) -> Call {
        Call { method, path: path.to_owned(), query: query.to_owned(), body: None }
    }

    fn fires(script: &mut Script<()>, call: &Call) -> bool {
        !script.faults(call).is_empty()
    }

    #[test]
    fn only_matching_calls_are_counted() {
        let mut script = Script::new();
        script.add(Which::writes().to("/services").nth(2), Fault::Refuse(Refusal::Conflict));
        let write = call(Method::PATCH, "/api/v1/services/a", "");
        let others = [
            call(Method::GET, "/api/v1/services/a", ""),
            call(Method::PATCH, "/api/v1/pods/a", ""),
        ];
        assert!(!fires(&mut script, &write));
        assert!(others.iter().all(|other| !fires(&mut script, other)));
        assert!(fires(&mut script, &write));
        assert!(!fires(&mut script, &write), "once is enough");
    }

    #[test]
    fn without_a_number_every_call_is_meant() {
        let mut script = Script::new();
        script.add(Which::watches(), Fault::Delay(Duration::ZERO));
        let watch = call(Method::GET, "/api/v1/pods", "labelSelector=a%3Db&watch=true");
        assert!(fires(&mut script, &watch) && fires(&mut script, &watch));
        assert!(!fires(&mut script, &call(Method::GET, "/api/v1/pods", "labelSelector=a%3Db")));
        script.clear();
        assert!(!fires(&mut script, &watch));
    }

    #[test]
    fn the_method_can_be_named() {
        let mut script = Script::new();
        script.add(Which::calls().method(Method::DELETE), Fault::Refuse(Refusal::Forbidden));
        assert!(fires(&mut script, &call(Method::DELETE, "/", "")));
        assert!(!fires(&mut script, &call(Method::POST, "/", "")));
    }
}
