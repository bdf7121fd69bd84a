//! Where in a file a field stands.
//!
//! serde's readers know the line of a value that they refuse, and nothing of the others. People
//! write manifests in block style, an indented field a line, and that much can be followed without
//! a parser. Where the style is another, no line is better than a wrong one.

/// The line, from 1, of the field at `path` (as in `spec.dht.bootstrap[0]`) of a file with one
/// document in block style; `None` when it cannot be told. An entry of a list is found at the
/// list's own line.
pub fn line_of(yaml: &str, path: &str) -> Option<usize> {
    let mut lines = yaml.lines().enumerate().filter_map(|(index, line)| {
        let field = line.trim_start();
        let blank = field.is_empty() || field.starts_with('#');
        (!blank).then(|| (index + 1, line.len() - field.len(), field))
    });
    let mut parent: Option<usize> = None;
    let mut found = None;
    for step in path.split('.') {
        let name = step.split('[').next().unwrap_or(step);
        let mut siblings: Option<usize> = None;
        found = lines.find_map(|(number, indent, field)| {
            // A line that stands no further in than the parent ends it: nothing more is found.
            if parent.is_some_and(|parent| indent <= parent) {
                siblings = Some(usize::MAX);
            }
            let siblings = *siblings.get_or_insert(indent);
            (indent == siblings && is_field(field, name)).then_some((number, indent))
        });
        parent = Some(found?.1);
    }
    found.map(|(number, _)| number)
}

fn is_field(text: &str, name: &str) -> bool {
    text.strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(':'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const FILE: &str = "\
# A cluster.
apiVersion: grenache.dev/v1alpha1
kind: GrapeCluster
metadata: {name: market}
spec:
  api:
    port: 30001   # for services
  dht:

    # The DHT's own port.
    port: 20001
    bootstrap:
    - a:1
    - b:2
  replicas: 3
";

    #[rstest]
    #[case("kind", Some(3))]
    #[case("spec", Some(5))]
    #[case("spec.api.port", Some(7))]
    #[case("spec.dht.port", Some(11))]
    #[case("spec.dht.bootstrap[1]", Some(12))]
    #[case("spec.replicas", Some(15))]
    #[case("spec.port", None)]
    #[case("spec.api.bootstrap", None)]
    #[case("metadata.name", None)]
    #[case("spec.dht.port.nothing", None)]
    #[case("", None)]
    fn a_field_is_found_at_its_line(#[case] path: &str, #[case] line: Option<usize>) {
        assert_eq!(line_of(FILE, path), line);
    }

    #[test]
    fn a_document_that_starts_with_a_marker_is_followed_too() {
        assert_eq!(line_of("---\nspec:\n  replicas: 1\n", "spec.replicas"), Some(3));
    }
}
