//! `POST /introduce`, at the admin address alone: introduces the Grape to others whose addresses it
//! may not know, as in `{"addresses": ["10.0.0.7:20001"]}`. The operator sends it when it sees
//! partitions of a network, or a new Grape whose bootstrap name does not resolve to the others yet.
//!
//! Any program that reaches the admin address may send it. It costs at most 8 pings a second, and
//! makes no address a member by itself: each address is pinged once, and only a Grape that answers,
//! and is of this network, enters the routing table. An empty list says that there are no other
//! Grapes: a Grape that knows none is then the first, and ready.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::dht::Dht;
use crate::metrics::Introduced;

use super::Api;
use super::handler::{Answer, json_response, text};
use super::reply::Reply;

/// Most addresses of one request.
const MOST: usize = 8;
/// Most bytes of its body.
pub(super) const MAX_BODY: usize = 4 << 10;
/// One request is taken in this time, and others are refused.
const PACE: Duration = Duration::from_secs(1);

/// When the last request was taken.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Whether it is time for another one; if so, it is taken.
    fn take(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.saturating_duration_since(last) >= PACE);
        if due {
            *last = Some(now);
        }
        due
    }
}

/// What is asked. The list has to be there: an empty one says something.
#[derive(Deserialize)]
struct Introduction {
    addresses: Vec<String>,
}

/// How it went.
#[derive(Serialize)]
struct Pinged {
    /// How many addresses were pinged; none of Grapes that were known already.
    asked: usize,
}

/// Why an introduction was not taken.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Invalid(String),
    TooSoon,
}

/// Whether a request asks for an introduction.
pub(super) fn is_asked_for<B>(request: &Request<B>) -> bool {
    request.method() == Method::POST && request.uri().path() == "/introduce"
}

/// Introduces the Grape to those that `peer` names in this body.
pub(super) fn call(api: &Api, peer: SocketAddr, body: &[u8]) -> Response<Answer> {
    let result = introduce(&api.dht, &api.introductions, peer, body);
    api.metrics.introduced(match &result {
        Ok(_) => Introduced::Taken,
        Err(Refusal::Invalid(_)) => Introduced::Invalid,
        Err(Refusal::TooSoon) => Introduced::TooSoon,
    });
    match result {
        Ok(asked) => match serde_json::to_vec(&Pinged { asked }) {
            Ok(body) => json_response(Reply::ok(body)),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        Err(Refusal::Invalid(why)) => text(StatusCode::BAD_REQUEST, format!("{why}\n")),
        Err(Refusal::TooSoon) => {
            text(StatusCode::TOO_MANY_REQUESTS, "one introduction a second is taken: wait\n")
        }
    }
}

fn introduce(dht: &Dht, pace: &Pace, peer: SocketAddr, body: &[u8]) -> Result<usize, Refusal> {
    let addresses = read(body).map_err(Refusal::Invalid)?;
    if !pace.take(clock::now()) {
        return Err(Refusal::TooSoon);
    }
    dht.introduce(&addresses, peer)
        .map_err(|impossible| Refusal::Invalid(format!("addresses: {impossible}")))
}

/// The addresses in a body.
fn read(body: &[u8]) -> Result<Vec<SocketAddr>, String> {
    let Introduction { addresses } = serde_json::from_slice(body).map_err(|error| {
        format!(
            "{error}: an object with a list of at most {MOST} \"addresses\" is wanted, as in \
             {{\"addresses\": [\"10.0.0.7:20001\"]}}"
        )
    })?;
    if addresses.len() > MOST {
        let count = addresses.len();
        return Err(format!("addresses: {count} are too many, {MOST} are taken at most"));
    }
    let address = |(index, text): (usize, &String)| {
        text.parse().map_err(|_| {
            format!(
                "addresses[{index}]: {text:?} is not IP:PORT, as in 10.0.0.7:20001 or \
                 [fd00::7]:20001"
            )
        })
    };
    addresses.iter().enumerate().map(address).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", "addresses")]
    #[case("{}", "missing field `addresses`")]
    #[case(r#"{"adresses": []}"#, "missing field `addresses`")]
    #[case(r#"{"addresses": "10.0.0.7:20001"}"#, "expected a sequence")]
    #[case(r#"{"addresses": ["10.0.0.7:1", "market:2"]}"#, "addresses[1]: \"market:2\"")]
    #[case(r#"{"addresses": ["10.0.0.7"]}"#, "addresses[0]")]
    #[case(r#"{"addresses": ["","","","","","","","",""]}"#, "9 are too many")]
    fn errors_of_introductions_name_the_field(#[case] body: &str, #[case] why: &str) {
        let told = read(body.as_bytes()).unwrap_err();
        assert!(told.contains(why), "{told}");
    }

    #[test]
    fn addresses_of_both_families_are_read() {
        let body = br#"{"addresses": ["10.0.0.7:20001", "[fd00::7]:20001"], "later": 1}"#;
        let expected = ["10.0.0.7:20001", "[fd00::7]:20001"].map(|text| text.parse().unwrap());
        assert_eq!(read(body).unwrap(), expected);
        assert_eq!(read(br#"{"addresses": []}"#).unwrap(), []);
    }

    #[test]
    fn one_a_second_is_taken() {
        let now = clock::now();
        let pace = Pace::default();
        assert!(pace.take(now));
        assert!(!pace.take(now + PACE / 2));
        assert!(pace.take(now + PACE), "the refused one does not count");
    }
}
