//! What is made anew, and when.

use std::time::Duration;

use jiff::Timestamp;

use super::bundle::Bundle;
use super::chain::{self, Chain, Unusable};
use super::issue;

/// Longest time that an authority is known before it signs: long enough for every API server to
/// have heard of it.
const SETTLES: Duration = Duration::from_secs(60);

/// How many times as long as what it signs an authority lives. Replaced after two thirds of that,
/// it is valid for longer still than what it signed last.
const AUTHORITY: u32 = 5;

/// What certificates are made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What they are served as; the first is the one that API servers ask for.
    pub names: Vec<String>,
    /// How long one is valid that is served, in whole seconds.
    pub life: Duration,
}

impl Terms {
    fn settles(&self) -> Duration {
        SETTLES.min(self.life * AUTHORITY / 20)
    }

    /// The name that API servers ask for.
    pub fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing before this time.
    Keep(Timestamp),
    /// The authority signs a new certificate to serve.
    Serving,
    /// A new authority is told of; the old one's certificate is served on.
    Authority,
    /// All is made anew: what there is can serve nobody.
    Anew,
}

/// Decides by what there is. `trusted` tells whether the API server believes the authority.
pub fn decide(chain: Option<&Chain>, trusted: bool, terms: &Terms, now: Timestamp) -> Next {
    let Some(Chain { authority, serving }) = chain else { return Next::Anew };
    if authority.until <= now {
        return Next::Anew;
    }
    if serving.until <= now {
        // Nobody believes that one any more: it can only become better.
        return Next::Serving;
    }
    if authority.due() <= now {
        return Next::Authority;
    }
    // An authority of which not everybody has heard signs nothing yet.
    let settled = authority.made() + terms.settles();
    if serving.due().max(settled) <= now {
        if trusted {
            return Next::Serving;
        }
        return Next::Keep(serving.until);
    }
    Next::Keep(serving.due().max(settled).min(authority.due()).min(serving.until))
}

/// What there is after that was done.
///
/// # Errors
/// It cannot be made: the system has no randomness, or the names or the times are none.
pub fn renew(
    found: Option<&Bundle>,
    next: Next,
    terms: &Terms,
    now: Timestamp,
) -> Result<Bundle, rcgen::Error> {
    // What a certificate holds of a time.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let authority = || issue::authority(terms.name(), now, terms.life * AUTHORITY);
    match (next, found) {
        (Next::Keep(_), Some(found)) => Ok(found.clone()),
        (Next::Authority, Some(found)) => {
            let made = authority()?;
            let older = chain::valid(&found.authorities, now).concat();
            Ok(Bundle {
                authorities: made.certificate + &older,
                authority_key: made.key,
                ..found.clone()
            })
        }
        (Next::Serving, Some(found)) => serving(
            chain::valid(&found.authorities, now).concat(),
            found.authority_key.clone(),
            terms,
            now,
        ),
        (Next::Anew, _) | (_, None) => {
            let made = authority()?;
            serving(made.certificate, made.key, terms, now)
        }
    }
}

fn serving(
    authorities: String,
    authority_key: String,
    terms: &Terms,
    now: Timestamp,
) -> Result<Bundle, rcgen::Error> {
    let until = chain::until(&authorities).unwrap_or(now).min(now + terms.life);
    let made = issue::serving((&authorities, &authority_key), &terms.names, now, until)?;
    Ok(Bundle { authorities, authority_key, certificate: made.certificate, key: made.key })
}

/// What a Secret holds, if it can be served.
///
/// # Errors
/// What is wrong with it.
pub fn read(found: Option<&Bundle>, terms: &Terms) -> Result<Option<Chain>, Unusable> {
    found.map(|found| chain::read(found, terms.name())).transpose()
}
