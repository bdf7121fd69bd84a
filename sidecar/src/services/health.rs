//! Whether something answers, from one try to the next.

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProbeOutcome {
    /// It answered, and well.
    Yes,
    /// It refused, or said no.
    No,
    /// Neither: at an address of this host, a connection that takes too long means an overloaded
    /// service, not one that has ended.
    Undecided,
}

/// What the tries so far show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Health {
    /// It has never answered.
    #[default]
    Unknown,
    /// It answered when last tried.
    Up,
    /// It answered before, and said no when last tried: once may be a restart in place.
    Failing,
    /// It answered once, and then said no twice in a row.
    Down,
}

impl Health {
    /// The health after one more try.
    pub(super) fn after(self, outcome: ProbeOutcome) -> Self {
        match (self, outcome) {
            (_, ProbeOutcome::Yes) | (Self::Failing, ProbeOutcome::Undecided) => Self::Up,
            (Self::Up, ProbeOutcome::No) => Self::Failing,
            (Self::Failing, ProbeOutcome::No) => Self::Down,
            (same, _) => same,
        }
    }

    /// Whether it counts as there.
    pub(super) fn is_up(self) -> bool {
        matches!(self, Self::Up | Self::Failing)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Tries as letters: yes, no, undecided.
    #[rstest]
    #[case("", Health::Unknown)]
    #[case("nnnn", Health::Unknown)]
    #[case("u", Health::Unknown)]
    #[case("y", Health::Up)]
    #[case("nny", Health::Up)]
    #[case("yn", Health::Failing)]
    #[case("ynn", Health::Down)]
    #[case("ynyn", Health::Failing)]
    #[case("ynunu", Health::Up)]
    #[case("yuuu", Health::Up)]
    #[case("ynnnnu", Health::Down)]
    #[case("ynny", Health::Up)]
    #[case("ynnyn", Health::Failing)]
    #[case("ynnynn", Health::Down)]
    fn health_follows_tries(#[case] tries: &str, #[case] health: Health) {
        let outcome = |letter| match letter {
            'y' => ProbeOutcome::Yes,
            'n' => ProbeOutcome::No,
            _ => ProbeOutcome::Undecided,
        };
        let state = tries.chars().map(outcome).fold(Health::Unknown, Health::after);
        assert_eq!(state, health);
        assert_eq!(state.is_up(), matches!(health, Health::Up | Health::Failing));
    }
}
