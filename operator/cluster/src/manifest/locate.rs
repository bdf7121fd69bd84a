//! At which line of a file a field stands.
//!
//! The YAML reader knows the line of a value that it refuses, and of no other. So the file is read
//! once more by a reader that refuses the very field that is looked for.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Location;

/// The line, from 1, of the field at `path` (as in `spec.dht.bootstrap[0]`) of a file with one
/// document; where it is not there, that of the nearest field around it.
pub fn line_of(yaml: &str, path: &str) -> Option<usize> {
    let mut paths =
        std::iter::successors(Some(path), |path| Some(&path[..path.rfind(['.', '['])?]));
    paths.find_map(|path| seek(yaml, path, 0))
}

/// The line of the field at `path` when it is there for the second time.
pub(super) fn line_of_second(yaml: &str, path: &str) -> Option<usize> {
    seek(yaml, path, 1)
}

/// The line, from 1, of a place that the YAML reader names. The reader has lines of its own: for it, a
/// carriage return that stands alone ends one, and so do three characters of Unicode. Editors and
/// `grep -n` count line feeds.
pub(super) fn line_at(yaml: &str, place: &Location) -> usize {
    // The reader counts characters.
    1 + yaml.chars().take(place.index()).filter(|c| *c == '\n').count()
}

fn seek(yaml: &str, path: &str, skip: usize) -> Option<usize> {
    if path.is_empty() {
        return None;
    }
    let search = Search { skip: Cell::new(skip), found: Cell::new(false) };
    // What is no YAML is refused for ever.
    let refused = serde_yaml::Deserializer::from_str(yaml)
        .find_map(|document| Seek { path, search: &search }.deserialize(document).err());
    refused.filter(|_| search.found.get())?.location().map(|place| line_at(yaml, &place))
}

struct Search {
    /// How many times the field is to be passed over.
    skip: Cell<usize>,
    found: Cell<bool>,
}

/// Goes down to the field at `path`, seen from here, and refuses it.
#[derive(Clone, Copy)]
struct Seek<'a> {
    path: &'a str,
    search: &'a Search,
}

impl<'a> Seek<'a> {
    /// The same search, from a field or an entry on.
    fn from(self, rest: &'a str) -> Self {
        Self { path: rest.strip_prefix('.').unwrap_or(rest), ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        if self.path.is_empty() {
            self.search.found.set(true);
            return source.deserialize_any(Refusal);
        }
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping or a list")
    }

    /// A document that is empty.
    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    /// One that says so.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let index = self.path.strip_prefix('[').and_then(|path| path.split_once(']'));
        let Some((Ok(index), rest)) = index.map(|(index, rest)| (index.parse::<usize>(), rest))
        else {
            return Err(A::Error::custom("no entry"));
        };
        for _ in 0..index {
            if entries.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        entries.next_element_seed(self.from(rest)).map(drop)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(inside) = fields.next_key_seed(Key(self))? {
            match inside {
                Some(rest) => return fields.next_value_seed(self.from(rest)),
                None => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A field's name: refused where it is the one that is looked for, and the rest of the path where
/// that is inside the field.
struct Key<'a>(Seek<'a>);

impl<'de, 'a> DeserializeSeed<'de> for Key<'a> {
    type Value = Option<&'a str>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'a> {
    type Value = Option<&'a str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let Seek { path, search } = self.0;
        match path.strip_prefix(name) {
            Some("") => match search.skip.get().checked_sub(1) {
                Some(left) => {
                    search.skip.set(left);
                    Ok(None)
                }
                None => {
                    search.found.set(true);
                    Err(E::custom("found"))
                }
            },
            Some(rest) => Ok(Some(rest).filter(|rest| rest.starts_with(['.', '[']))),
            None => Ok(None),
        }
    }
}

/// Takes no value at all.
struct Refusal;

impl Visitor<'_> for Refusal {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const FILE: &str = "\
# A cluster.
apiVersion: grenache.dev/v1alpha1
kind: GrapeCluster
metadata: {name: market,
  labels: {team.example/name: one, 7: x}}
spec:
  api:
    \"port\": 30001   # for services
  dht:

    # The DHT's own port.
    port: 20001
    bootstrap:
    - a:1
    - b:2
  pools:
    - name: zone-1
      template: {}
    -
      name: zone-2
      name: zone-3
  replicas: 3
";

    #[rstest]
    #[case("kind", Some(3))]
    #[case("spec", Some(6))]
    #[case("spec.api.port", Some(8))]
    #[case("spec.dht.port", Some(12))]
    #[case("spec.dht.bootstrap[1]", Some(15))]
    #[case("spec.pools[0].template", Some(18))]
    #[case("spec.pools[1].name", Some(20))]
    #[case("spec.replicas", Some(22))]
    #[case("metadata.name", Some(4))]
    #[case("metadata.labels.team.example/name", Some(5))]
    fn a_field_is_found_at_its_line(#[case] path: &str, #[case] line: Option<usize>) {
        assert_eq!(line_of(FILE, path), line);
    }

    #[rstest]
    #[case("spec.port", Some(6))]
    #[case("spec.api.bootstrap[2]", Some(7))]
    #[case("spec.dht.bootstrap[9]", Some(13))]
    #[case("spec.dht.bootstrap[x]", Some(13))]
    #[case("spec.pools[0].replicas", Some(17))]
    #[case("spec.dht.port.nothing", Some(12))]
    #[case("status.replicas", None)]
    #[case("", None)]
    fn an_absent_field_has_the_line_of_its_parent(#[case] path: &str, #[case] line: Option<usize>) {
        assert_eq!(line_of(FILE, path), line);
    }

    #[test]
    fn the_second_of_two_is_found() {
        assert_eq!(line_of_second(FILE, "spec.pools[1].name"), Some(21));
        assert_eq!(line_of_second(FILE, "spec.replicas"), None);
    }

    #[rstest]
    #[case("---\nspec:\n  replicas: 1\n")]
    #[case("---\n---\nspec: {replicas: 1}\n---\n")]
    fn documents_around_it_are_passed_over(#[case] yaml: &str) {
        assert_eq!(line_of(yaml, "spec.replicas"), Some(3));
    }

    /// As editors count them.
    #[rstest]
    #[case::line_feeds("a: 1\nspec:\n  replicas: 1\n", 3)]
    #[case::windows("a: 1\r\nspec:\r\n  replicas: 1\r\n", 3)]
    #[case::a_carriage_return_alone("a: 1\rspec:\n  replicas: 1\n", 2)]
    #[case::next_line("a: 1\u{85}spec:\n  replicas: 1\n", 2)]
    #[case::long_characters("a: äöü€\n# 😀\nspec:\n  replicas: 1\n", 4)]
    fn lines_end_with_line_feeds(#[case] yaml: &str, #[case] line: usize) {
        assert_eq!(line_of(yaml, "spec.replicas"), Some(line));
        let error =
            serde_yaml::from_str::<serde_yaml::Value>(&format!("{yaml}b: [\n")).unwrap_err();
        // What is missing is missing at the end.
        assert_eq!(line_at(&format!("{yaml}b: [\n"), &error.location().unwrap()), line + 2);
    }

    #[test]
    fn invalid_yaml_has_no_lines() {
        assert_eq!(line_of("a: [\n", "spec.replicas"), None);
    }
}
