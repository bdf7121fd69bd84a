//! Which verb a path names. The original folds the path's case as it looks its handler up, and so
//! do we: `/Lookup`, `/_lookup` and `/-lookup` are `lookup`.

/// What a Grape can be asked to do, over HTTP and over a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    /// The peers of a name.
    Lookup,
    /// Announces a name at a port of this host.
    Announce,
    /// Takes an announce back; not in the original.
    Withdraw,
    /// Stores an item.
    Put,
    /// Reads an item.
    Get,
}

impl Verb {
    /// Every verb, in the order of their discriminants.
    pub(crate) const ALL: [Self; 5] =
        [Self::Lookup, Self::Announce, Self::Withdraw, Self::Put, Self::Get];

    /// The verb as it stands in a path.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Announce => "announce",
            Self::Withdraw => "withdraw",
            Self::Put => "put",
            Self::Get => "get",
        }
    }

    /// The verb that a request's target names: its path and query after the first slash.
    pub(crate) fn from_path(path_and_query: &str) -> Option<Self> {
        let mut rest = path_and_query.chars();
        rest.next();
        Self::from_type(rest.as_str())
    }

    /// The verb that a request's type names, any way of writing it that the original takes.
    pub(crate) fn from_type(text: &str) -> Option<Self> {
        let exact = |text: &str| Self::ALL.into_iter().find(|verb| verb.name() == text);
        // The usual spelling first: it needs no folding.
        exact(text).or_else(|| {
            // The original names the handler `handlePeer` + upperFirst(…), so that the first
            // letter's case does not matter.
            let mut folded = camel_case(&format!("-{text}"));
            folded.get_mut(..1).map(str::make_ascii_lowercase);
            exact(&folded)
        })
    }
}

/// The original's `camelCase`: a word's first character, a capital, and a dash or underscore with
/// the word character after it are made capital, the one at the start of the text small; then white
/// space, dashes and underscores go.
fn camel_case(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut folded = String::with_capacity(text.len());
    let mut before = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let starts_word = is_word(c) && !before.is_some_and(is_word);
        let joins = matches!(c, '-' | '_') && !starts_word;
        let joined = chars.next_if(|&(_, next)| joins && is_word(next)).map(|(_, next)| next);
        let letter = joined.unwrap_or(c);
        before = Some(letter);
        if letter.is_whitespace() || matches!(letter, '-' | '_') {
            continue;
        }
        folded.push(match starts_word || joined.is_some() || c.is_ascii_uppercase() {
            false => letter,
            true if at == 0 => letter.to_ascii_lowercase(),
            true => letter.to_ascii_uppercase(),
        });
    }
    folded
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/lookup", Verb::Lookup)]
    #[case("/Lookup", Verb::Lookup)]
    #[case("/_lookup", Verb::Lookup)]
    #[case("/-lookup", Verb::Lookup)]
    #[case("/-Lookup", Verb::Lookup)]
    #[case("/--lookup", Verb::Lookup)]
    #[case("/lookup-", Verb::Lookup)]
    #[case("/lookup__", Verb::Lookup)]
    #[case("/announce", Verb::Announce)]
    #[case("/Announce", Verb::Announce)]
    #[case("/withdraw", Verb::Withdraw)]
    #[case("/put", Verb::Put)]
    #[case("/-Put", Verb::Put)]
    #[case("/get", Verb::Get)]
    fn paths_name_verbs(#[case] path: &str, #[case] verb: Verb) {
        assert_eq!(Verb::from_path(path), Some(verb));
    }

    #[rstest]
    fn other_paths_name_none(
        #[values(
            "",
            "/",
            "/lookup/",
            "/lookup?x=1",
            "/lookup?",
            "/LOOKUP",
            "/lookUp",
            "/look-up",
            "/look_up",
            "//lookup",
            "/a/lookup",
            "/lookup.",
            "/ünlookup",
            "/é",
            "*",
            "/handlePeerGet"
        )]
        path: &str,
    ) {
        assert_eq!(Verb::from_path(path), None);
    }

    /// What the original's function returns, run by Node.js.
    #[rstest]
    #[case("-lookup", "lookup")]
    #[case("-Lookup", "lookup")]
    #[case("-_lookup", "lookup")]
    #[case("--lookup", "Lookup")]
    #[case("-__lookup", "Lookup")]
    #[case("-_-lookup", "Lookup")]
    #[case("-lookUP-it_now9z", "lookUPItNow9z")]
    #[case("-lookup/", "lookup/")]
    #[case("-/lookup", "/Lookup")]
    #[case("-a.b c", "a.BC")]
    #[case("-%20get", "%20get")]
    #[case("-é-a", "éA")]
    #[case("", "")]
    fn case_is_folded_as_the_original_does(#[case] text: &str, #[case] folded: &str) {
        assert_eq!(camel_case(text), folded);
    }
}
