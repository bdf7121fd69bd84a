//! Requests at a Grape's API and admin pages, over sockets: the Grape answers whatever comes, and web
//! pages of others get nothing.
//!
//! | file | concern |
//! |---|---|
//! | `requests.rs` | what a client sends |
//! | `grape.rs` | a Grape on loopback, and a connection to it |

#![no_main]

mod grape;
mod requests;

use std::cell::RefCell;

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

use crate::grape::Server;
use requests::Sent;

thread_local! {
    static SERVER: RefCell<Server> = RefCell::new(Server::start());
}

fuzz_target!(|bytes: &[u8]| {
    let (admin, sent) = match bytes {
        [kind @ ..0x20, choices @ ..] => {
            let mut u = Unstructured::new(choices);
            let Ok(sent) = requests::connection(&mut u) else { return };
            (kind % 4 == 0, sent)
        }
        // What begins as a text is one.
        text => (false, Sent { bytes: text.to_vec(), is_foreign: false }),
    };
    SERVER.with_borrow_mut(|server| {
        let answer = server.ask(&sent.bytes, admin);
        check(&sent, &answer);
    });
});

/// What came back is one answer of HTTP or more.
fn check(sent: &Sent, answer: &[u8]) {
    let text = String::from_utf8_lossy(answer);
    if answer.is_empty() {
        // The request did not come whole.
        return;
    }
    let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    let status: u16 = status.and_then(|status| status.parse().ok()).unwrap_or_default();
    assert!((100..600).contains(&status), "no answer of HTTP: {text}");
    if sent.is_foreign {
        let asked = String::from_utf8_lossy(&sent.bytes);
        assert!(matches!(status, 400 | 403 | 414 | 431), "{status} to a foreign page: {asked}");
    }
}
