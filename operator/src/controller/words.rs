//! What others say, in bounds: it goes into statuses and events, which hold one line of it. Pure.

/// One line of at most `most` characters: control characters become spaces, and a mark shows that
/// the text was cut.
pub fn line(text: &str, most: usize) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let line = line.trim_end_matches('.');
    match line.char_indices().nth(most) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("as it is", "as it is")]
    #[case("an end.", "an end")]
    #[case(" two\n\tlines \u{1b}[1m ", "two lines [1m")]
    #[case("Wörter ohne Ende und Ziel", "Wörter ohne End…")]
    #[case("", "")]
    fn a_text_becomes_one_short_line(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(line(text, 15), expected);
    }
}
