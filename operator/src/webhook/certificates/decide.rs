//! Decides what is issued, and when. Pure.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::bundle::Bundle;
use super::chain::{self, Chain, Unusable};
use super::issue;

/// How long an authority is published before it signs, at most: long enough for every API server to
/// have received it.
const SETTLES: Duration = Duration::from_secs(60);

/// How many times as long an authority lives as the certificates it signs. An authority is replaced
/// after two thirds of its life, and is then valid for longer than the last certificate that it
/// signed.
const AUTHORITY: u32 = 5;

/// What certificates are issued for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertSpec {
    /// The names that the webhook is served as; API servers ask for the first one.
    pub names: Vec<String>,
    /// How long a served certificate is valid, in whole seconds.
    pub life: Duration,
}

impl CertSpec {
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
    /// A new authority is published; the old one's certificate is served on.
    Authority,
    /// A new authority and a new certificate are issued, because the present ones cannot be used.
    All,
}

/// Why something is issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// There is no certificate.
    Missing,
    /// There is a certificate that cannot be used.
    Unusable(Unusable),
    /// The certificate, or its authority, is no longer valid.
    Expired,
    /// Two thirds of the life of the certificate, or of its authority, are over.
    Expiring,
}

impl Reason {
    /// Why the certificates of `chain` are replaced at `now`; `problem` is why there is no chain.
    pub fn of(chain: Option<&Chain>, problem: Option<Unusable>, now: Timestamp) -> Self {
        match (chain, problem) {
            (_, Some(problem)) => Self::Unusable(problem),
            (None, None) => Self::Missing,
            (Some(chain), None) if chain.authority.until.min(chain.serving.until) <= now => {
                Self::Expired
            }
            (Some(_), None) => Self::Expiring,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => to.write_str("missing"),
            Self::Unusable(problem) => write!(to, "unusable: {problem}"),
            Self::Expired => to.write_str("expired"),
            Self::Expiring => to.write_str("expiring"),
        }
    }
}

/// Decides by the present state. `trusted`: whether the API servers trust the authority.
pub fn decide(chain: Option<&Chain>, trusted: bool, spec: &CertSpec, now: Timestamp) -> Next {
    let Some(Chain { authority, serving }) = chain else { return Next::All };
    if authority.until <= now {
        return Next::All;
    }
    if serving.until <= now {
        // No API server trusts this authority any more, so a new one at once makes nothing worse.
        return Next::Serving;
    }
    if authority.due() <= now {
        return Next::Authority;
    }
    // A new authority signs nothing until all API servers have received it.
    let settled = authority.made() + spec.settles();
    if serving.due().max(settled) <= now {
        if trusted {
            return Next::Serving;
        }
        return Next::Keep(serving.until);
    }
    Next::Keep(serving.due().max(settled).min(authority.due()).min(serving.until))
}

/// The bundle after this step.
///
/// # Errors
/// The step fails: the system has no randomness, or a name or a time is not valid in a certificate.
pub fn renew(
    found: Option<&Bundle>,
    next: Next,
    spec: &CertSpec,
    now: Timestamp,
) -> Result<Bundle, rcgen::Error> {
    // Certificates hold whole seconds.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let authority = || issue::authority(spec.name(), now, spec.life * AUTHORITY);
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
            spec,
            now,
        ),
        (Next::All, _) | (_, None) => {
            let made = authority()?;
            serving(made.certificate, made.key, spec, now)
        }
    }
}

fn serving(
    authorities: String,
    authority_key: String,
    spec: &CertSpec,
    now: Timestamp,
) -> Result<Bundle, rcgen::Error> {
    let until = chain::until(&authorities).unwrap_or(now).min(now + spec.life);
    let made = issue::serving((&authorities, &authority_key), &spec.names, now, until)?;
    Ok(Bundle { authorities, authority_key, certificate: made.certificate, key: made.key })
}

/// The chain of a Secret, if it can be served.
///
/// # Errors
/// What is wrong with it.
pub fn read(found: Option<&Bundle>, spec: &CertSpec) -> Result<Option<Chain>, Unusable> {
    found.map(|found| chain::read(found, spec.name())).transpose()
}
