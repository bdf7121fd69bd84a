//! serde's messages in the words of people who write manifests.

use super::Mistake;
use crate::describe::Fields;
use crate::nearest::nearest;

/// Fields of `metadata` that people write; its schema is Kubernetes' own and lists none.
const METADATA: [&str; 4] = ["annotations", "labels", "name", "namespace"];
/// Fields of every object; their schema is Kubernetes' own too.
const ROOT: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];

/// The message for an unknown field.
pub(super) fn unknown_field(field: &str, fields: &Fields) -> Mistake {
    let (parent, name) = field.rsplit_once('.').unwrap_or(("", field));
    let known = match parent {
        "" => ROOT.to_vec(),
        "metadata" => METADATA.to_vec(),
        parent => fields.inside(parent),
    };
    let meant = nearest(name, known.iter().map(AsRef::as_ref));
    let expected = match meant {
        Some(meant) => format!("; did you mean {meant}?"),
        None if known.is_empty() => String::new(),
        None => format!("; expected one of {}", known.join(", ")),
    };
    let meant = meant.map(|meant| match parent {
        "" => meant.to_owned(),
        parent => format!("{parent}.{meant}"),
    });
    Mistake { meant, ..Mistake::new(field, format_args!("there is no such field{expected}")) }
}

/// The field that is missing, by serde's message.
pub(super) fn missing_field(message: &str) -> Option<&str> {
    Some(message.split_once("missing field `")?.1.split_once('`')?.0)
}

/// What is said of a value that is not of the field's type. `message` is serde's, as in
/// `spec.replicas: invalid type: string "three", expected i32 at line 5 column 13`.
pub(super) fn wrong_type(field: &str, message: &str, fields: &Fields) -> Mistake {
    if let Some(name) = missing_field(message) {
        let field = if field == "." { name.to_owned() } else { format!("{field}.{name}") };
        let expected = fields.expected(&field);
        let expected = expected.map(|expected| format!("; expected {expected}"));
        return Mistake::new(&field, format_args!("is missing{}", expected.unwrap_or_default()));
    }
    let reason = message.split(" at line ").next().unwrap_or(message);
    let found = ["invalid type: ", "invalid value: "].iter().find_map(|prefix| {
        let (_, rest) = reason.split_once(prefix)?;
        rest.rsplit_once(", expected ")
    });
    let variant = reason.split_once("unknown variant `").and_then(|(_, rest)| rest.split_once('`'));
    let problem = match (found, variant) {
        (Some((found, _)), _) => format!("is {}", plain(found)),
        (None, Some((variant, _))) => format!("is {variant}"),
        (None, None) => reason.strip_prefix(&format!("{field}: ")).unwrap_or(reason).to_owned(),
    };
    let expected = match field {
        "metadata" => Some("a mapping with a name".to_owned()),
        field => fields.expected(field).or(found.map(|(_, expected)| match expected {
            "a string" => "text".to_owned(),
            other => other.to_owned(),
        })),
    };
    match expected {
        Some(expected) => Mistake::new(field, format_args!("{problem}; expected {expected}")),
        None => Mistake::new(field, problem),
    }
}

/// serde's name of a value, such as ``integer `7` ``, as people say it.
fn plain(found: &str) -> String {
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    let value = value.trim_matches('`');
    match kind {
        "integer" => format!("the number {value}"),
        "floating" => format!("the number {}", value.trim_start_matches("point `")),
        "boolean" => value.to_owned(),
        "string" => format!("the text {value}"),
        "sequence" => "a list".to_owned(),
        "map" => "a mapping".to_owned(),
        "unit" => "empty".to_owned(),
        _ => found.to_owned(),
    }
}

/// `spec.dht.bootstrap.0` as `spec.dht.bootstrap[0]`, as all other messages have it.
pub(super) fn with_brackets(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for (index, step) in path.split('.').enumerate() {
        let number = !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit());
        match (index, number) {
            (_, true) => text.push_str(&format!("[{step}]")),
            (0, false) => text.push_str(step),
            (_, false) => text.push_str(&format!(".{step}")),
        }
    }
    text
}
