use rstest::rstest;

use super::*;

const LISTED: &str = "http://localhost:5173";

fn pages(origins: &[&str]) -> WebPages {
    let origins: Vec<_> = origins.iter().map(|origin| origin.parse().unwrap()).collect();
    WebPages::new(&origins, &["Grape.Example.org".parse().unwrap()])
}

fn request(method: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri("/announce");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn refusal(pages: &WebPages, method: &str, headers: &[(&str, &str)]) -> Option<String> {
    pages.permit(&request(method, headers), true).err().map(|refusal| refusal.to_string())
}

#[rstest]
fn hosts_that_lead_here_are_answered(
    #[values(
        "127.0.0.1:30001",
        "127.0.0.1",
        "[::1]:30001",
        "[::ffff:127.0.0.1]",
        "10.0.0.7",
        "127.1:30001",
        "localhost:30001",
        "localhost.",
        "a.localhost:30001",
        "A.LOCALHOST",
        "grape:30001",
        "grape_1",
        "grape.example.org",
        "GRAPE.example.org.:30001",
        ""
    )]
    host: &str,
) {
    assert_eq!(refusal(&pages(&[]), "POST", &[("host", host)]), None);
}

#[rstest]
fn made_up_hosts_are_refused_on_loopback_alone(
    #[values(
        "evil.example",
        "evil.example:30001",
        "evil.example.",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil-localhost.example",
        "x.grape.example.org",
        "grape.example.org.evil.example",
        "evil.0x",
        "market.shop.svc",
        "a.."
    )]
    host: &str,
    #[values("GET", "POST")] method: &str,
) {
    let headers = [("host", host), ("sec-fetch-mode", "navigate")];
    let told = refusal(&pages(&["*"]), method, &headers).unwrap();
    assert!(told.contains(host) && told.contains("--api-host"), "{told}");
    let elsewhere = pages(&[]).permit(&request(method, &headers), false);
    assert!(elsewhere.is_ok(), "{elsewhere:?}");
}

#[test]
fn every_host_of_a_request_counts() {
    let two = [("host", "localhost"), ("host", "evil.example")];
    assert!(refusal(&pages(&[]), "GET", &two).is_some());
    let mut absolute = request("GET", &[("host", "localhost")]);
    *absolute.uri_mut() = "http://evil.example/status".parse().unwrap();
    assert!(pages(&[]).permit(&absolute, true).is_err());
    assert!(pages(&[]).permit(&request("GET", &[]), true).is_ok(), "a program of HTTP/1.0");
}

#[rstest]
fn origins_that_are_not_listed_are_refused(
    #[values(&[], &[LISTED])] listed: &[&str],
    #[values("GET", "POST", "OPTIONS")] method: &str,
    #[values(
        "http://evil.example",
        "https://localhost:5173",
        "http://localhost:5174",
        "http://127.0.0.1",
        "null",
        "",
        "127.0.0.1:30001"
    )]
    origin: &str,
    #[values("same-origin", "none", "cross-site")] site: &str,
) {
    let headers = [("host", "127.0.0.1:30001"), ("origin", origin), ("sec-fetch-site", site)];
    let told = refusal(&pages(listed), method, &headers).unwrap();
    assert_eq!(told, format!("This Grape's --api-origin does not list the origin {origin}.\n"));
}

#[rstest]
#[case(&[LISTED], LISTED, "127.0.0.1:30001")]
#[case(&["*"], "http://evil.example", "127.0.0.1:30001")]
#[case(&["*"], "null", "127.0.0.1:30001")]
// A page of the Grape itself, or of a proxy before it.
#[case(&[], "http://127.0.0.1:30001", "127.0.0.1:30001")]
#[case(&[], "https://grape.example.org", "Grape.example.org")]
fn pages_that_may_ask_are_answered(
    #[case] listed: &[&str],
    #[case] origin: &str,
    #[case] host: &str,
) {
    let headers = [("host", host), ("origin", origin), ("sec-fetch-site", "same-origin")];
    assert_eq!(refusal(&pages(listed), "POST", &headers), None);
}

#[test]
fn a_listed_page_is_of_another_site_and_asks() {
    let headers = [("host", "127.0.0.1"), ("origin", LISTED), ("sec-fetch-site", "cross-site")];
    assert_eq!(refusal(&pages(&[LISTED]), "POST", &headers), None);
}

#[test]
fn an_origin_is_not_its_own_where_the_host_is_made_up() {
    let headers = [("host", "evil.example"), ("origin", "http://evil.example")];
    assert!(refusal(&pages(&[]), "POST", &headers).unwrap().contains("--api-host"));
    let without = [("origin", "http://evil.example")];
    assert!(refusal(&pages(&[]), "POST", &without).is_some());
    let two = [("host", "grape"), ("origin", "http://grape"), ("origin", "http://evil.example")];
    assert!(refusal(&pages(&[]), "POST", &two).is_some());
    let listed = [("host", "grape"), ("origin", LISTED), ("origin", "http://evil.example")];
    assert!(refusal(&pages(&[LISTED]), "POST", &listed).is_some());
}

#[rstest]
#[case("POST", "cross-site", "no-cors", true)]
#[case("POST", "same-site", "no-cors", true)]
#[case("POST", "cross-site", "navigate", true)]
#[case("GET", "cross-site", "no-cors", true)]
#[case("GET", "same-site", "websocket", true)]
#[case("HEAD", "cross-site", "navigate", true)]
#[case("GET", "cross-site", "navigate", false)]
#[case("GET", "same-site", "navigate", false)]
#[case("POST", "same-origin", "cors", false)]
#[case("POST", "none", "navigate", false)]
fn other_sites_may_only_lead_here(
    #[case] method: &str,
    #[case] site: &str,
    #[case] mode: &str,
    #[case] refused: bool,
) {
    let headers = [("host", "localhost"), ("sec-fetch-site", site), ("sec-fetch-mode", mode)];
    for listed in [&[][..], &[LISTED]] {
        let told = refusal(&pages(listed), method, &headers);
        assert_eq!(told.is_some(), refused, "{told:?}");
        assert!(told.is_none_or(|told| told.contains("--api-origin") && told.contains(site)));
    }
    assert_eq!(refusal(&pages(&["*"]), method, &headers), None, "every page may ask");
}

#[test]
fn a_second_header_hides_no_other_site() {
    let own = ("sec-fetch-site", "same-origin");
    let other = ("sec-fetch-site", "cross-site");
    let navigates = ("sec-fetch-mode", "navigate");
    for headers in [&[own, other][..], &[other, navigates, ("sec-fetch-mode", "cors")]] {
        let headers = [&[("host", "localhost")][..], headers].concat();
        assert!(refusal(&pages(&[]), "GET", &headers).is_some(), "{headers:?}");
    }
}

#[rstest]
fn names_of_hosts_are_names_alone(
    #[values(
        "",
        ".",
        "http://a.example",
        "a.example:80",
        "a.example/",
        "a b",
        "*.example",
        "*",
        "a..b"
    )]
    text: &str,
) {
    let error = text.parse::<ApiHost>().unwrap_err().to_string();
    assert!(error.contains("is no name of a host"), "{error}");
}
