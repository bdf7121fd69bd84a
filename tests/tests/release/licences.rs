//! Licences that a release may have.

use std::collections::BTreeSet;
use std::fs;

use regex::Regex;

use super::project;

/// The words of a list in a file of TOML, as in `allow = ["MIT"]`.
fn list(file: &str, name: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(project().join(file)).unwrap();
    let whole = Regex::new(&format!(r"(?m)^{name} = \[([^\]]*)\]")).unwrap();
    let found = whole.captures(&text).unwrap_or_else(|| panic!("{file} has no {name}"));
    let words = Regex::new(r#""([^"]+)""#).unwrap();
    words.captures_iter(&found[1]).map(|word| word[1].to_owned()).collect()
}

#[test]
fn those_that_are_collected_are_those_that_are_allowed() {
    let allowed = list("deny.toml", "allow");
    assert!(allowed.contains("MIT"), "{allowed:?}");
    assert_eq!(list("release/licences/about.toml", "accepted"), allowed);
}
