//! Text from elsewhere, made safe to show to people.

use std::fmt::Write;

/// Text in which control characters are escaped.
///
/// ```
/// assert_eq!(grape::printable::line("a\u{1b}[31m\n"), r"a\u{1b}[31m\n");
/// ```
pub fn line(text: &str) -> String {
    escaped(text, acts)
}

/// The same, but newlines and tabs stay.
///
/// ```
/// assert_eq!(grape::printable::lines("a\t\u{1b}[31m\n"), "a\t\\u{1b}[31m\n");
/// ```
pub fn lines(text: &str) -> String {
    escaped(text, |c| acts(c) && !matches!(c, '\n' | '\t'))
}

/// JSON in which control characters are escaped: those that writers of JSON leave as they are.
///
/// ```
/// assert_eq!(grape::printable::json("[\n\"\u{9b}31m\"]"), "[\n\"\\u009b31m\"]");
/// ```
pub fn json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        // All of them are in the basic plane. Beyond ASCII they can only stand in a string.
        if acts(c) && c > '~' {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

fn escaped(text: &str, is_unsafe: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Whether a terminal acts on a character, or shows by it what stands beside it elsewhere: C0, DEL and C1; the
/// controls of the Unicode Bidirectional Algorithm (UAX #9); and separators of lines and paragraphs.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    fn what_a_terminal_acts_on_is_escaped(
        #[values(
            '\0', '\u{7}', '\u{8}', '\r', '\u{1b}', '\u{7f}', '\u{80}', '\u{9b}', '\u{9f}',
            '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}',
            '\u{2066}', '\u{2069}'
        )]
        c: char,
    ) {
        let text = format!("a{c}b");
        let expected = format!("a{}b", c.escape_default());
        assert_eq!(line(&text), expected);
        assert_eq!(lines(&text), expected);
        let written = json(&serde_json::Value::from(&*text).to_string());
        assert!(!written.contains(c), "{written}");
        let read: String = serde_json::from_str(&written).unwrap();
        assert_eq!(read, text);
    }

    #[rstest]
    fn all_else_is_shown(
        #[values("", "é", "日本", "👩\u{200d}👩", "\u{a0}", "שלום", "\\ \"")] text: &str,
    ) {
        assert_eq!(line(text), text);
        assert_eq!(lines(text), text);
        assert_eq!(json(text), text);
    }

    #[test]
    fn newlines_of_a_line_are_escaped_and_those_of_lines_stay() {
        assert_eq!(line("a\tb\n"), "a\\tb\\n");
        assert_eq!(lines("a\tb\nc"), "a\tb\nc");
        assert_eq!(json("{\n\t\"a\": 1\n}"), "{\n\t\"a\": 1\n}");
    }
}
