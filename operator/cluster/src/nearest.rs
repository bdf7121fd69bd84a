//! The name that somebody probably meant.

/// Of the names that there are, the one that is written almost like this one, but not just so. Upper
/// and lower case are alike.
pub fn nearest<'a>(name: &str, there_are: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let distances = there_are
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&known.to_lowercase(), &name), known));
    let (distance, known) = distances.min()?;
    (distance <= 1 + known.len() / 4).then_some(known)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("markt", Some("market"))]
    #[case("Market", Some("market"))]
    #[case("tradign", Some("trading"))]
    #[case("orders", None)]
    #[case("", None)]
    fn misspelt_names_are_recognised(#[case] name: &str, #[case] meant: Option<&str>) {
        assert_eq!(nearest(name, ["market", "trading"]), meant);
    }

    #[test]
    fn of_no_names_none_is_near() {
        assert_eq!(nearest("market", []), None);
    }
}
