//! Years of certificates, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rstest::rstest;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::bundle::Bundle;
use super::cert_resolver::CertResolver;
use super::chain::{self, Unusable};
use super::decide::{CertSpec, Next, decide, read, renew};
use super::issue;
use crate::metrics::Metrics;

const NAME: &str = "grape-operator-webhook.ops.svc";

fn spec(life: u64) -> CertSpec {
    CertSpec { names: vec![NAME.to_owned()], life: Duration::from_secs(life) }
}

fn begin() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn issued(spec: &CertSpec) -> Bundle {
    renew(None, Next::All, spec, begin()).unwrap()
}

/// What an API server does with the `caBundle` and with the certificate that it gets.
fn verify(authorities: &str, certificate: &str, now: Timestamp) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
        roots.add(root.unwrap()).unwrap();
    }
    let provider = ring::default_provider().into();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let shown = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let now = UnixTime::since_unix_epoch(seconds(now.as_second().try_into().unwrap()));
    verifier.build().unwrap().verify_server_cert(&shown, &[], &name, &[], now).map(drop)
}

/// Replicas read at intervals, and both a new `caBundle` and a new certificate take a while to
/// arrive: no API server ever gets a certificate that it does not trust.
#[rstest]
// An hour's life in steps of half a minute, and five seconds' life in steps of one.
#[case::usual(3600, 30, 30)]
#[case::short(5, 1, 1)]
#[case::slow(600, 30, 30)]
fn whoever_asks_believes_what_is_served(#[case] life: u64, #[case] step: u64, #[case] late: u64) {
    let spec = spec(life);
    let mut written = issued(&spec);
    // What API servers trust, what a replica serves, and who reads the Secret that late.
    let mut believed = vec![(0, written.authorities.clone())];
    let mut served = vec![(0, written.certificate.clone())];
    let mut made = [0; 2];
    for second in (0..life * 12).step_by(usize::try_from(step).unwrap()) {
        let now = begin() + seconds(second);
        let old = |log: &[(u64, String)], age: u64| {
            let known = log.iter().rev().find(|(since, _)| since + age <= second);
            known.unwrap_or(&log[0]).1.clone()
        };
        for (read, shown) in [(late, 0), (late, late), (0, 0), (0, late)] {
            verify(&old(&believed, read), &old(&served, shown), now).unwrap_or_else(|error| {
                panic!("after {second} s, read {read} s late, served {shown} s late: {error}")
            });
        }
        let chain = read(Some(&written), &spec).unwrap();
        let trusted = chain::trusts(believed.last().unwrap().1.as_bytes(), &written.authorities);
        let next = decide(chain.as_ref(), trusted, &spec, now);
        match next {
            Next::Keep(until) => assert!(until > now, "after {second} s"),
            Next::Serving => made[0] += 1,
            Next::Authority => made[1] += 1,
            Next::All => panic!("after {second} s all is made anew"),
        }
        written = renew(Some(&written), next, &spec, now).unwrap();
        believed.push((second, written.authorities.clone()));
        served.push((second, written.certificate.clone()));
        let bundle = pem::parse_many(&written.authorities).unwrap();
        assert!(bundle.len() <= 2, "{} authorities", bundle.len());
    }
    // Every two thirds of a certificate's life, and of an authority's.
    assert!((12..=18).contains(&made[0]), "{made:?}");
    assert!((2..=4).contains(&made[1]), "{made:?}");
}

#[test]
fn nothing_is_done_before_two_thirds_of_a_life() {
    let spec = spec(3000);
    let bundle = issued(&spec);
    let chain = read(Some(&bundle), &spec).unwrap().unwrap();
    assert_eq!(chain.serving.made(), begin());
    let due = begin() + seconds(2000);
    assert_eq!(chain.serving.due(), due);
    let decide = |now| decide(Some(&chain), true, &spec, now);
    assert_eq!(decide(begin()), Next::Keep(due));
    assert_eq!(decide(due - seconds(1)), Next::Keep(due));
    assert_eq!(decide(due), Next::Serving);
}

#[test]
fn an_authority_signs_when_it_is_believed_and_not_before() {
    let spec = spec(3000);
    let old = issued(&spec);
    // Two thirds of five lives.
    let now = begin() + seconds(10_000);
    let fresh = renew(Some(&old), Next::Serving, &spec, now - seconds(2000)).unwrap();
    let chain = read(Some(&fresh), &spec).unwrap();
    assert_eq!(decide(chain.as_ref(), true, &spec, now), Next::Authority);
    let told = renew(Some(&fresh), Next::Authority, &spec, now).unwrap();
    assert_eq!((&told.certificate, &told.key), (&fresh.certificate, &fresh.key));
    assert!(told.authorities.ends_with(&old.authorities));
    assert!(!chain::trusts(old.authorities.as_bytes(), &told.authorities));
    assert!(chain::trusts(told.authorities.as_bytes(), &told.authorities));

    let chain = read(Some(&told), &spec).unwrap();
    let decide = |trusted, at| decide(chain.as_ref(), trusted, &spec, now + seconds(at));
    assert_eq!(decide(true, 59), Next::Keep(now + seconds(60)));
    assert_eq!(decide(true, 60), Next::Serving);
    // No API server would trust it: the served certificate is valid for a while yet.
    let end = now + seconds(1000);
    assert_eq!(decide(false, 60), Next::Keep(end));
    assert_eq!(decide(false, 1000), Next::Serving);
    let signed = renew(Some(&told), Next::Serving, &spec, now + seconds(60)).unwrap();
    verify(&told.authorities, &signed.certificate, now + seconds(60)).unwrap();
    assert!(verify(&old.authorities, &signed.certificate, now + seconds(60)).is_err());
    // The old one is in the bundle until it expires.
    assert_eq!(signed.authorities, told.authorities);
    let later = renew(Some(&signed), Next::Serving, &spec, begin() + seconds(15_001)).unwrap();
    assert_eq!(pem::parse_many(&later.authorities).unwrap().len(), 1);
}

#[test]
fn what_has_expired_is_made_anew() {
    let spec = spec(3000);
    let bundle = issued(&spec);
    let chain = read(Some(&bundle), &spec).unwrap();
    let at = |second| decide(chain.as_ref(), true, &spec, begin() + seconds(second));
    assert_eq!(at(14_999), Next::Serving);
    assert_eq!(at(15_000), Next::All);
    assert_eq!(decide(None, true, &spec, begin()), Next::All);
}

#[test]
fn a_bundle_whose_parts_do_not_belong_together_is_not_used() {
    let spec = spec(3000);
    let (one, two) = (issued(&spec), issued(&spec));
    assert!(read(Some(&one), &spec).unwrap().is_some());
    assert_eq!(read(None, &spec).unwrap(), None);
    let other = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = one.clone();
        change(&mut bundle);
        read(Some(&bundle), &spec).unwrap_err()
    };
    let key = other(&|it| it.key = two.key.clone());
    assert_eq!(key, Unusable::OtherKey("tls.key", "tls.crt"));
    let key = other(&|it| it.authority_key = two.authority_key.clone());
    assert_eq!(key, Unusable::OtherKey("ca.key", "ca.crt"));
    let unsigned = other(&|it| {
        (it.certificate, it.key) = (two.certificate.clone(), two.key.clone());
    });
    assert_eq!(unsigned, Unusable::Unsigned);
    for change in [
        (|it| it.authorities.clear()) as fn(&mut Bundle),
        |it| it.authorities.truncate(100),
        |it| it.authority_key = "-----BEGIN".to_owned(),
        |it| it.certificate = "no certificate".to_owned(),
        |it| it.key.clear(),
        |it| it.certificate = it.key.clone(),
    ] {
        assert!(matches!(other(&change), Unusable::Unreadable(..)));
    }
    let elsewhere = CertSpec { names: vec!["other.ops.svc".to_owned()], ..spec.clone() };
    let name = read(Some(&one), &elsewhere).unwrap_err();
    assert_eq!(name.to_string(), "tls.crt is not for other.ops.svc");
}

#[test]
fn a_secret_holds_all_of_it() {
    let bundle = issued(&spec(3000));
    let mut secret = k8s_openapi::api::core::v1::Secret::default();
    assert_eq!(Bundle::of(&secret), None);
    secret.data = Some(bundle.data());
    assert_eq!(Bundle::of(&secret), Some(bundle.clone()));
    assert!(!format!("{bundle:?}").contains("PRIVATE"));
    for part in ["ca.crt", "ca.key", "tls.crt", "tls.key"] {
        let mut less = secret.clone();
        less.data.as_mut().unwrap().remove(part).unwrap();
        assert_eq!(Bundle::of(&less), None, "{part}");
    }
}

#[test]
fn a_certificate_is_for_addresses_too_and_its_subject_is_short_enough() {
    let life = seconds(3000);
    let name = format!("{}.{}.svc", "a".repeat(59), "b".repeat(63));
    let authority = issue::authority(&name, begin(), life).unwrap();
    let names = [name.clone(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let by = (&*authority.certificate, &*authority.key);
    let made = issue::serving(by, &names, begin(), begin() + life).unwrap();
    let bundle = Bundle {
        authorities: authority.certificate,
        authority_key: authority.key,
        certificate: made.certificate,
        key: made.key,
    };
    assert!(chain::read(&bundle, &name).is_ok());
}

#[tokio::test]
async fn what_is_served_changes_and_stays_when_another_cannot_be_used() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let served = CertResolver::new(Arc::clone(&metrics));
    let spec = spec(3000);
    let (one, two) = (issued(&spec), issued(&spec));
    let serve = |certificate: &str, key: &str| served.serve(certificate.as_bytes(), key.as_bytes());
    assert!(serve(&one.certificate, &one.key).unwrap());
    let page = String::from_utf8(metrics.exposition().unwrap()).unwrap();
    let ends = (begin() + seconds(3000)).as_second();
    let line = format!("grape_operator_webhook_certificate_expiry_timestamp_seconds {ends}");
    assert!(page.lines().any(|shown| shown == line), "{line} is missing in\n{page}");
    served.is_there().await;
    assert!(!serve(&one.certificate, &one.key).unwrap());
    assert!(serve(&two.certificate, &two.key).unwrap());
    assert!(serve(&two.certificate, &one.key).is_err());
    assert!(serve("", &one.key).is_err());
    assert!(serve(&one.certificate, "").is_err());
    assert!(!serve(&two.certificate, &two.key).unwrap(), "the last that was good is served");
}
