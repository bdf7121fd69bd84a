//! Why a verb's data was refused, and what would be right, for people. The answers themselves are
//! the original's.

use std::borrow::Cow;
use std::net::IpAddr;

use grape_engine::MAX_NAME;

use crate::services::{Refused, shown};

use super::items::Refusal;
use super::json::{self, Json};
use super::reply::string;

/// Why data is no `["name", port]` of an announce or a withdrawal.
pub(crate) fn name_and_port<'a>(data: &Json<'a>) -> Refused<'a> {
    let Json::List(source) = data else {
        return Refused {
            name: "".into(),
            reason: "the data is no list of a name and a port".into(),
            hint: r#"send a list: ["rpc_test", 1337]"#.into(),
        };
    };
    let (name, port) = json::first_two(source);
    let (name, port) = (Json::of_option(name), Json::of_option(port));
    let right = port.as_integer().and_then(|port| u16::try_from(port).ok());
    let unnamed = match &name {
        Json::Text(name) if name.len() > MAX_NAME => Some("the name is longer than 1024 bytes"),
        Json::Text(name) if !name.is_empty() => None,
        Json::Text(_) => Some("the name is empty"),
        Json::Null => Some("the name is missing"),
        _ => Some("the name is no text"),
    };
    let reason = match (&port, right, unnamed) {
        (_, Some(_), Some(unnamed)) => unnamed,
        (Json::Text(_), ..) => "the port is a text",
        (Json::Null, ..) => "the port is missing",
        (Json::Number(_), ..) if port.as_integer().is_none() => "the port is no integer",
        (Json::Number(_), ..) => "the port is beyond 65535, or negative",
        _ => "the port is no number",
    };
    let meant = match &port {
        Json::Text(text) => text.trim().parse().ok(),
        _ => right,
    };
    let name = match name {
        Json::Text(name) => name,
        _ => Cow::Borrowed(""),
    };
    let example = if name.is_empty() { "rpc_test".to_owned() } else { shown(&name) };
    let example = String::from_utf8_lossy(&string(&example)).into_owned();
    let hint = match (right, meant) {
        (Some(port), _) => format!("send a name: [{example}, {port}]"),
        (None, Some(port)) => format!("send the port as a number: [{example}, {port}]"),
        (None, None) => format!("send the port as a number from 1 to 65535: [{example}, 1337]"),
    };
    Refused { name, reason: reason.into(), hint: hint.into() }
}

/// Why a withdrawal from this address was refused.
pub(crate) fn withdrawal(name: Cow<'_, str>, from: IpAddr) -> Refused<'_> {
    Refused {
        name,
        reason: format!("it was asked for from {from}, which has not announced it here").into(),
        hint: "withdraw it from where it was announced, or on the Grape's own host".into(),
    }
}

/// Why data is no name to look up.
pub(crate) fn lookup() -> Refused<'static> {
    Refused {
        name: "".into(),
        reason: "the data is no name".into(),
        hint: r#"send the name as a text: "rpc_test""#.into(),
    }
}

/// Why data is no item to store: the answer says so.
pub(crate) fn put(error: Refusal) -> Refused<'static> {
    Refused {
        name: "".into(),
        reason: error,
        hint: r#"send {"v": VALUE}; a signed item has k, sig, seq and perhaps salt and cas too"#
            .into(),
    }
}

/// Why data names no item.
pub(crate) fn get() -> Refused<'static> {
    Refused {
        name: "".into(),
        reason: "the data is no hash of an item".into(),
        hint: "send the hash that put answered, a text of 40 hex digits".into(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        r#"["svc","1337"]"#,
        "svc",
        "the port is a text",
        r#"send the port as a number: ["svc", 1337]"#
    )]
    #[case(
        r#"["svc"," 1337\n"]"#,
        "svc",
        "the port is a text",
        r#"send the port as a number: ["svc", 1337]"#
    )]
    #[case(r#"["svc","http"]"#, "svc", "the port is a text", r#"from 1 to 65535: ["svc", 1337]"#)]
    #[case(r#"["svc","70000"]"#, "svc", "the port is a text", "from 1 to 65535")]
    #[case(r#"["svc"]"#, "svc", "the port is missing", r#"["svc", 1337]"#)]
    #[case(r#"["svc",null]"#, "svc", "the port is missing", r#"["svc", 1337]"#)]
    #[case(r#"["svc",13.37]"#, "svc", "the port is no integer", "as a number from 1")]
    #[case(r#"["svc",65536]"#, "svc", "the port is beyond 65535", "as a number from 1")]
    #[case(r#"["svc",-1]"#, "svc", "or negative", "as a number from 1")]
    #[case(r#"["svc",[1337]]"#, "svc", "the port is no number", "as a number from 1")]
    #[case(r#"["",1337]"#, "", "the name is empty", r#"send a name: ["rpc_test", 1337]"#)]
    #[case("[null,1337]", "", "the name is missing", "send a name")]
    #[case("[5,1337]", "", "the name is no text", "send a name")]
    #[case("[5,true]", "", "the port is no number", "send the port")]
    #[case(r#"{"name":"svc"}"#, "", "the data is no list", r#"["rpc_test", 1337]"#)]
    #[case(r#"["a\"b","1"]"#, "a\"b", "the port is a text", r#"["a\"b", 1]"#)]
    fn refused_announces_say_what_would_be_right(
        #[case] data: &str,
        #[case] name: &str,
        #[case] reason: &str,
        #[case] hint: &str,
    ) {
        let refused = name_and_port(&Json::of(serde_json::from_str(data).unwrap()));
        assert_eq!(refused.name, name);
        assert!(refused.reason.contains(reason) && refused.hint.contains(hint), "{refused:?}");
    }
}
