//! A document as values, and which of its fields are there twice.
//!
//! serde_yaml's own reader of values ends at the first such field.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Mapping, Value};

/// Reads a document. Of a field that is there twice the first value is read, and its path is
/// returned.
pub(super) fn read(
    document: serde_yaml::Deserializer<'_>,
) -> Result<(Value, Vec<String>), serde_yaml::Error> {
    let twice = RefCell::default();
    let value = Node { path: String::new(), twice: &twice }.deserialize(document)?;
    Ok((value, twice.into_inner()))
}

/// The value at a path.
struct Node<'a> {
    path: String,
    twice: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a tag")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        let entry = |index| Node { path: format!("{}[{index}]", self.path), ..self };
        while let Some(value) = entries.next_element_seed(entry(list.len()))? {
            list.push(value);
        }
        Ok(Value::Sequence(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut mapping = Mapping::new();
        while let Some(key) = fields.next_key::<Value>()? {
            let path = match (self.path.as_str(), key.as_str()) {
                ("", Some(name)) => name.to_owned(),
                (path, Some(name)) => format!("{path}.{name}"),
                (path, None) => path.to_owned(),
            };
            let value = fields.next_value_seed(Node { path: path.clone(), ..self })?;
            if mapping.contains_key(&key) {
                self.twice.borrow_mut().push(path);
            } else {
                mapping.insert(key, value);
            }
        }
        Ok(Value::Mapping(mapping))
    }
}
