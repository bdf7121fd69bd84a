//! A document's values as the fields of a `GrapeCluster`, and every mistake on the way.
//!
//! serde ends at the first value of another type. So that value is replaced by one of the right
//! type, and the rest is read again.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_path_to_error::{Path, Segment};
use serde_yaml::Value;

use super::{Mistake, wording};
use crate::describe::Fields;
use crate::{GrapeCluster, GrapeClusterSpec};

/// Most values of a wrong type that are reported of one file.
const MOST: usize = 100;

/// What is read of a document. `status` is let pass: `kubectl get -o yaml` writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(default)]
    metadata: ObjectMeta,
    spec: GrapeClusterSpec,
    #[serde(rename = "status", default)]
    _status: Value,
}

/// The cluster of a document, with defaults in place of what is wrong; none where too much is.
pub(super) fn read(mut document: Value) -> (Option<GrapeCluster>, Vec<Mistake>) {
    let fields = Fields::new();
    let mut wrong: Vec<Mistake> = Vec::new();
    loop {
        let mut unknown = Vec::new();
        let mut found = |path: serde_ignored::Path<'_>| {
            unknown
                .push(wording::unknown_field(&wording::with_brackets(&path.to_string()), &fields));
        };
        let strict = serde_ignored::Deserializer::new(&document, &mut found);
        let (error, cluster) = match serde_path_to_error::deserialize::<_, Document>(strict) {
            Ok(Document { metadata, spec, .. }) => {
                (None, Some(GrapeCluster { metadata, spec, status: None }))
            }
            Err(error) => (Some(error), None),
        };
        let mended = error.is_some_and(|error| {
            let message = error.inner().to_string();
            let mistake = wording::wrong_type(&error.path().to_string(), &message, &fields);
            let missing = wording::missing_field(&message);
            let again = wrong.iter().any(|known| known.field == mistake.field);
            let fill = fields.placeholder(&mistake.field).filter(|_| !again);
            let fill = fill.and_then(|fill| serde_yaml::to_value(fill).ok());
            if !again {
                wrong.push(mistake);
            }
            wrong.len() < MOST && mend(&mut document, error.path(), missing, fill)
        });
        if !mended {
            wrong.extend(unknown);
            return (cluster, wrong);
        }
    }
}

/// Puts `fill` in place of the value at `path`, or of its field `missing`; without one, takes the
/// field out. Whether the document has changed.
fn mend(document: &mut Value, path: &Path, missing: Option<&str>, fill: Option<Value>) -> bool {
    let steps: Option<Vec<Value>> = path
        .iter()
        .map(|segment| match segment {
            Segment::Seq { index } => Some(Value::from(*index)),
            Segment::Map { key } => Some(Value::from(key.as_str())),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .chain(missing.map(|name| Some(Value::from(name))))
        .collect();
    let Some((last, parents)) = steps.as_ref().and_then(|steps| steps.split_last()) else {
        return false;
    };
    let parent = parents.iter().try_fold(document, |value, step| match value {
        Value::Mapping(fields) => fields.get_mut(step),
        Value::Sequence(list) => list.get_mut(usize::try_from(step.as_u64()?).ok()?),
        _ => None,
    });
    match (parent, fill) {
        (Some(Value::Mapping(fields)), Some(fill)) => {
            fields.insert(last.clone(), fill);
            true
        }
        (Some(Value::Mapping(fields)), None) => fields.remove(last).is_some(),
        (Some(Value::Sequence(list)), Some(fill)) => {
            let index = last.as_u64().and_then(|index| usize::try_from(index).ok());
            let entry = index.and_then(|index| list.get_mut(index));
            entry.is_some_and(|entry| {
                *entry = fill;
                true
            })
        }
        _ => false,
    }
}
