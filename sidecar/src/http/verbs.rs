//! The verbs: JSON in, a question to the DHT, JSON out. HTTP and WebSocket share them.

use std::borrow::Cow;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use grape_engine::{Found, MAX_NAME, PutError};
use hyper::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::dht::Dht;
use crate::services::{Refused, Services};

use super::items;
use super::json::{self, Json};
use super::refused;
use super::reply::{Reply, string};
use super::routes::Verb;
use super::values;

/// Carries `verb` out, for who asks from this address. A refusal is an answer of status 200, which
/// clients take for success: each cause is noted, for people to see.
pub(crate) async fn call(
    services: &Services,
    verb: Verb,
    data: Option<&RawValue>,
    from: IpAddr,
) -> Reply {
    let dht = services.dht();
    let data = Json::of_option(data);
    let refuse = |error: &str, why: &Refused<'_>| {
        services.refusals().note(verb.name(), why);
        Reply::error(error)
    };
    match verb {
        Verb::Lookup => match &data {
            Json::Text(name) if !name.is_empty() => {
                Reply::ok(peers(&dht.lookup(name.as_bytes()).await))
            }
            _ => refuse("ERR_GRAPE_LOOKUP", &refused::lookup()),
        },
        Verb::Announce => match name_and_port(&data) {
            Ok((name, port)) => Reply::count(services.announce(name.as_bytes(), port, from).await),
            Err(error) => refuse(error, &refused::name_and_port(&data)),
        },
        Verb::Withdraw => match name_and_port(&data) {
            Ok((name, port)) => match services.withdraw(name.as_bytes(), port, from).await {
                Ok(withdrawn) => withdrawn
                    .map_or_else(|| Reply::count(0), |withdrawn| Reply::withdrawn(&withdrawn)),
                Err(error) => {
                    services.refusals().note(verb.name(), &refused::withdrawal(name, from));
                    Reply::refused(StatusCode::FORBIDDEN, &error.to_string())
                }
            },
            Err(error) => refuse(error, &refused::name_and_port(&data)),
        },
        Verb::Put => match items::put(&data) {
            Ok(item) => put(dht, item).await,
            Err(error) => refuse(&error, &refused::put(error.clone())),
        },
        Verb::Get => match items::get(&data) {
            Ok(wanted) => get(dht, wanted).await,
            Err(error) => refuse(&error, &refused::get()),
        },
    }
}

/// The `["name", port]` of an announce, checked in the original's order.
fn name_and_port<'a>(data: &Json<'a>) -> Result<(Cow<'a, str>, u16), &'static str> {
    const UNNAMED: &str = "ERR_GRAPE_ANNOUNCE";
    let Json::List(source) = data else { return Err(UNNAMED) };
    let (name, port) = json::first_two(source);
    let port = Json::of_option(port)
        .as_integer()
        .and_then(|port| u16::try_from(port).ok())
        .ok_or("ERR_GRAPE_SERVICE_PORT")?;
    match Json::of_option(name) {
        Json::Text(name) if !name.is_empty() && name.len() <= MAX_NAME => Ok((name, port)),
        _ => Err(UNNAMED),
    }
}

async fn put(dht: &Dht, put: items::Put) -> Reply {
    match dht.put(put.item, put.cas).await {
        Ok(id) => Reply::ok(string(&hex::encode(id.as_bytes()))),
        Err(error) => refused_put(&error),
    }
}

/// In the original a KRPC error's code is the answer's status. Only 3xx codes, which say that
/// another version is stored, mean something to a client there.
fn refused_put(error: &PutError) -> Reply {
    let refused = |status| Reply::refused(status, &error.to_string());
    match error {
        PutError::Refused { code, message } => {
            let status = u16::try_from(*code).ok().and_then(|code| StatusCode::from_u16(code).ok());
            match status.filter(StatusCode::is_redirection) {
                Some(status) => refused(status),
                None => Reply::error(message),
            }
        }
        PutError::Unanswered => refused(StatusCode::OK),
    }
}

async fn get(dht: &Dht, get: items::Get) -> Reply {
    let found = match get.target {
        Some(target) => dht.get(target, &get.salt, get.cached).await,
        None => None,
    };
    Reply::ok(found.map(|found| item(&found, &get.salt)).unwrap_or_default())
}

/// An item as the original shows it.
#[derive(Serialize)]
struct Shown<'a> {
    /// The node that answered.
    id: String,
    /// Its write token.
    token: Option<String>,
    v: String,
    #[serde(flatten)]
    signed: Option<ShownSigned>,
    #[serde(skip_serializing_if = "str::is_empty")]
    salt: Cow<'a, str>,
}

#[derive(Serialize)]
struct ShownSigned {
    seq: i64,
    k: String,
    sig: String,
}

/// An item; `salt` is the one that it was asked with.
fn item(found: &Found, salt: &[u8]) -> Vec<u8> {
    let salt = match found.item.signed() {
        Some(signed) => &signed.salt,
        // The original repeats a salt that has no meaning, if another node answers.
        None if found.token.is_some() => salt,
        None => &[],
    };
    let shown = Shown {
        id: hex::encode(found.from.as_bytes()),
        token: found.token.as_ref().map(hex::encode),
        v: values::to_text(&found.item.value()),
        signed: found.item.signed().map(|signed| ShownSigned {
            seq: signed.seq,
            k: hex::encode(signed.key),
            sig: hex::encode(signed.signature),
        }),
        salt: String::from_utf8_lossy(salt),
    };
    serde_json::to_vec(&shown).unwrap_or_default()
}

/// Peers as `["ip:port", …]`.
pub(crate) fn peers(peers: &[SocketAddr]) -> Vec<u8> {
    let mut json = Vec::with_capacity(2 + peers.len() * 24);
    let mut digits = itoa::Buffer::new();
    json.push(b'[');
    for (index, peer) in peers.iter().enumerate() {
        json.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        match peer.ip() {
            IpAddr::V4(ip) => {
                for octet in ip.octets() {
                    json.extend_from_slice(digits.format(octet).as_bytes());
                    json.push(b'.');
                }
                json.pop();
                json.push(b':');
                json.extend_from_slice(digits.format(peer.port()).as_bytes());
            }
            // Writing to memory cannot fail.
            IpAddr::V6(_) => drop(write!(json, "{peer}")),
        }
        json.push(b'"');
    }
    json.push(b']');
    json
}

#[cfg(test)]
mod tests {
    use grape_engine::Item;
    use mainline::Id;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"["rpc_test",7001]"#, Ok(("rpc_test", 7001)))]
    #[case(r#"["rpc_test",7001.0,"more"]"#, Ok(("rpc_test", 7001)))]
    #[case(r#"["é",0]"#, Ok(("é", 0)))]
    #[case(r#"["a",-0]"#, Ok(("a", 0)))]
    #[case(r#"["a",65535]"#, Ok(("a", 65535)))]
    #[case(&format!("[\"{}\",1]", "n".repeat(1025)), Err("ERR_GRAPE_ANNOUNCE"))]
    #[case("null", Err("ERR_GRAPE_ANNOUNCE"))]
    #[case("\"rpc_test\"", Err("ERR_GRAPE_ANNOUNCE"))]
    #[case(r#"{"0":"a","1":1}"#, Err("ERR_GRAPE_ANNOUNCE"))]
    #[case("[]", Err("ERR_GRAPE_SERVICE_PORT"))]
    #[case(r#"["a"]"#, Err("ERR_GRAPE_SERVICE_PORT"))]
    #[case(r#"["a","7001"]"#, Err("ERR_GRAPE_SERVICE_PORT"))]
    #[case(r#"["a",7001.5]"#, Err("ERR_GRAPE_SERVICE_PORT"))]
    #[case(r#"["a",65536]"#, Err("ERR_GRAPE_SERVICE_PORT"))]
    #[case(r#"["a",-5]"#, Err("ERR_GRAPE_SERVICE_PORT"))]
    #[case(r#"[null,null]"#, Err("ERR_GRAPE_SERVICE_PORT"))]
    #[case(r#"[null,1]"#, Err("ERR_GRAPE_ANNOUNCE"))]
    #[case(r#"["",1]"#, Err("ERR_GRAPE_ANNOUNCE"))]
    #[case(r#"[5,1]"#, Err("ERR_GRAPE_ANNOUNCE"))]
    #[case(r#"[{},1]"#, Err("ERR_GRAPE_ANNOUNCE"))]
    fn announces_are_checked(#[case] data: &str, #[case] expected: Result<(&str, u16), &str>) {
        let data = Json::of(serde_json::from_str(data).unwrap());
        let got = name_and_port(&data);
        assert_eq!(got.as_ref().map(|(name, port)| (&**name, *port)).map_err(|e| *e), expected);
    }

    #[rstest]
    fn peers_are_written_as_their_display() {
        let addresses: Vec<SocketAddr> =
            ["0.0.0.0:0", "127.0.0.1:7001", "10.20.255.100:65535", "1.2.3.9:80", "[::1]:7001"]
                .iter()
                .map(|text| text.parse().unwrap())
                .collect();
        for some in 0..=addresses.len() {
            let texts: Vec<String> = addresses[..some].iter().map(ToString::to_string).collect();
            assert_eq!(peers(&addresses[..some]), serde_json::to_vec(&texts).unwrap());
        }
    }

    #[rstest]
    #[case(
        301,
        "CAS mismatch, re-read and try again",
        301,
        r#""301 CAS mismatch, re-read and try again""#
    )]
    #[case(
        302,
        "sequence number less than current",
        302,
        r#""302 sequence number less than current""#
    )]
    #[case(206, "invalid signature", 200, r#""invalid signature""#)]
    #[case(-1, "odd", 200, r#""odd""#)]
    fn refused_puts(
        #[case] code: i64,
        #[case] message: &str,
        #[case] status: u16,
        #[case] body: &str,
    ) {
        let reply = refused_put(&PutError::Refused { code, message: message.to_owned() });
        assert_eq!((reply.status.as_u16(), &*reply.body), (status, body.as_bytes()));
    }

    #[rstest]
    #[case(None, "null", "")]
    #[case(Some(vec![1, 2]), "\"0102\"", r#","salt":"s""#)]
    fn items_are_shown_as_in_the_original(
        #[case] token: Option<Vec<u8>>,
        #[case] shown: &str,
        #[case] salt: &str,
    ) {
        let from = Id::from([0xab; 20]);
        let hello = Item::immutable(b"5:hello".to_vec()).unwrap();
        let found = Found { from, token, item: hello };
        let id = "ab".repeat(20);
        let json = format!(r#"{{"id":"{id}","token":{shown},"v":"hello"{salt}}}"#);
        assert_eq!(String::from_utf8(item(&found, b"s")).unwrap(), json);
    }
}
