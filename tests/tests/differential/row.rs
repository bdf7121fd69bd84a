//! A row of the table, and how two Grapes' answers to it are compared.

use grape_tests::grape::{Grape, Kind, Options, is_id};
use grape_tests::http::{Reply, Request};
use grape_tests::network::{Network, Shape};
use serde_json::{Value, json};

/// A request, and whether we mean to answer it differently. The requests of a table are sent in
/// their order to the same Grapes.
pub struct Row {
    /// What the row is about.
    pub what: &'static str,
    request: Request,
    at_second: bool,
    by_anyone: bool,
    differs: Option<[Want; 2]>,
}

/// What an answer should be.
#[derive(Debug, Clone)]
pub enum Want {
    /// This status, and this JSON as body.
    Json(u16, Value),
    /// This status, and this text as body.
    Text(u16, &'static str),
    /// What Node.js makes of a mistake of its own: 500, and a text that is no JSON.
    TypeError,
    /// Any status, and a reason as a JSON string.
    Reason,
    /// 200 and an item's id.
    Id,
    /// 200 and an item with this `v`.
    Item(Value),
    /// An answer whose status and body pass a test.
    Such(fn(u16, &str) -> bool),
}

impl Row {
    /// A row that both answer alike.
    pub fn new(what: &'static str, request: Request) -> Self {
        Self { what, request, at_second: false, by_anyone: false, differs: None }
    }

    /// A POST of `{"rid", "data"}`.
    pub fn data(what: &'static str, verb: &str, data: Value) -> Self {
        let body = json!({ "rid": "a-request", "data": data }).to_string();
        Self::new(what, Request::post(&format!("/{verb}"), body))
    }

    /// The same, asked of the second Grape of a pair.
    pub fn at_second(mut self) -> Self {
        self.at_second = true;
        self
    }

    /// Of the item that is got, who answered does not count, nor what follows from it: the token
    /// and the salt. Ours asks the closest nodes for the newest version, even where it holds one.
    pub fn by_anyone(mut self) -> Self {
        self.by_anyone = true;
        self
    }

    /// We mean to differ (`[D]` in the protocol's description): what npm's Grape answers, so that
    /// the row is noticed when that changes, and what ours must.
    pub fn differs(mut self, npm: Want, ours: Want) -> Self {
        self.differs = Some([npm, ours]);
        self
    }
}

/// Sends every row to npm's Grapes and to the subject's, `count` of each, and fails with all rows
/// that are not as they should be.
pub async fn compare(subject: Kind, count: usize, rows: Vec<Row>) {
    compare_with(subject, count, &Options::default(), rows).await;
}

/// As [`compare`], with options for all four Grapes.
pub async fn compare_with(subject: Kind, count: usize, options: &Options, rows: Vec<Row>) {
    let start =
        async |kind| Network::start_with(Shape::Star, &vec![kind; count], options).await.unwrap();
    let (npm, other) = (start(Kind::Npm).await, start(subject).await);
    let mut wrong = Vec::new();
    for row in &rows {
        let at = usize::from(row.at_second);
        let (theirs, its) =
            tokio::join!(npm.grapes[at].send(&row.request), other.grapes[at].send(&row.request));
        let problem = match (theirs, its) {
            (Ok(theirs), Ok(its)) => judge(row, (&theirs, &npm), (&its, &other)),
            (theirs, its) => {
                let [theirs, its] = [theirs, its].map(|answer| match answer {
                    Ok(reply) => format!("{reply:?}"),
                    Err(error) => format!("{error:#}"),
                });
                Some(format!("npm: {theirs}\nsubject: {its}"))
            }
        };
        if let Some(problem) = problem {
            wrong.push(format!("## {}\n{}\n{problem}\n", row.what, shown(&row.request)));
        }
    }
    let text = wrong.join("\n");
    assert!(wrong.is_empty(), "{} of {} rows are wrong\n\n{text}", wrong.len(), rows.len());
}

fn judge(row: &Row, npm: (&Reply, &Network), other: (&Reply, &Network)) -> Option<String> {
    let Some([of_npm, of_ours]) = &row.differs else {
        let [theirs, its] =
            [npm, other].map(|(reply, network)| normalised(reply, network, row.by_anyone));
        let equal = theirs == its;
        return (!equal).then(|| format!("npm: {theirs:?}\nsubject: {its:?}"));
    };
    let mut problems = Vec::new();
    let kind = other.1.grapes[0].kind();
    let of_other = if kind == Kind::Npm { of_npm } else { of_ours };
    for (who, want, reply) in [(Kind::Npm, of_npm, npm.0), (kind, of_other, other.0)] {
        if !want.fits(reply) {
            problems.push(format!("{who} should answer {want:?}, and answered {reply:?}"));
        }
    }
    (!problems.is_empty()).then(|| problems.join("\n"))
}

impl Want {
    fn fits(&self, reply: &Reply) -> bool {
        let json = serde_json::from_str::<Value>(&reply.body);
        match self {
            Self::Json(status, value) => {
                reply.status == *status && json.is_ok_and(|json| json == *value)
            }
            Self::Text(status, text) => reply.status == *status && reply.body == *text,
            Self::TypeError => reply.status == 500 && json.is_err() && !reply.body.is_empty(),
            Self::Reason => {
                json.is_ok_and(|json| json.as_str().is_some_and(|s| s.len() > 3 && !is_id(s)))
            }
            Self::Id => reply.status == 200 && json.is_ok_and(|j| j.as_str().is_some_and(is_id)),
            Self::Item(value) => reply.status == 200 && json.is_ok_and(|json| json["v"] == *value),
            Self::Such(test) => test(reply.status, &reply.body),
        }
    }
}

/// An answer without what must differ: ids and ports of nodes, tokens, the order of peers.
fn normalised(reply: &Reply, network: &Network, by_anyone: bool) -> (u16, Result<Value, String>) {
    let json = serde_json::from_str(&reply.body).map_err(|_| reply.body.clone());
    let mut json = json.map(|json| neutral(json, network));
    if let (true, Ok(Value::Object(item))) = (by_anyone, &mut json)
        && item["id"].as_str().is_some_and(|id| id.starts_with("<id of node"))
    {
        item.retain(|field, _| !matches!(field.as_str(), "id" | "token" | "salt"));
    }
    (reply.status, json)
}

fn neutral(json: Value, network: &Network) -> Value {
    match json {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.into_iter().map(|v| neutral(v, network)).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| match value {
                Value::String(text) if name == "token" && !text.is_empty() => {
                    (name, json!("<a token>"))
                }
                value => (name, neutral(value, network)),
            };
            Value::Object(fields.into_iter().map(field).collect())
        }
        Value::String(text) => {
            let own = network.grapes.iter().position(|grape| text == grape.id());
            let at = |grape: &Grape| text == format!("127.0.0.1:{}", grape.dht_port());
            match (own, network.grapes.iter().position(at)) {
                (Some(own), _) => json!(format!("<id of node {own}>")),
                (_, Some(own)) => json!(format!("<DHT address of node {own}>")),
                _ => json!(text),
            }
        }
        other => other,
    }
}

fn shown(request: &Request) -> String {
    let mut text: String = String::from_utf8_lossy(&request.bytes()).chars().take(400).collect();
    text = text.replace("\r\n", "\n");
    text.lines().map(|line| format!("    {line}\n")).collect()
}
