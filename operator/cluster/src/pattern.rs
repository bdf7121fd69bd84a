//! The patterns of texts, each compiled once: that takes a hundred times as long as to match one.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex::Regex;

/// Patterns by their text; none for one that is no pattern.
type Compiled = BTreeMap<&'static str, Option<Arc<Regex>>>;

/// There are as many as constants in the code.
static COMPILED: LazyLock<Mutex<Compiled>> = LazyLock::new(Mutex::default);

/// Whether a text looks like `pattern`. Nothing looks like one that cannot be read.
pub fn is_like(text: &str, pattern: &'static str) -> bool {
    let compiled = {
        let mut all = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        let compile = || Regex::new(pattern).ok().map(Arc::new);
        all.entry(pattern).or_insert_with(compile).clone()
    };
    compiled.is_some_and(|compiled| compiled.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_like_its_pattern_each_time_it_is_asked_for() {
        for _ in 0..2 {
            assert!(is_like("ab", "^a.$") && is_like("abc", "^a..$"));
            assert!(!is_like("abc", "^a.$") && !is_like("ab", "^a..$"));
            assert!(!is_like("(", "("), "it is no pattern");
        }
    }
}
