//! What the Grape checks before it announces: the pod's readiness probes, as far as a Grape can
//! make them.

use http::Uri;
use k8s_openapi::api::core::v1::{Container, PodSpec, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The checks of the Grape, each once: `http://127.0.0.1:8080/healthz`, or `tcp://127.0.0.1:1337`,
/// which succeeds if something listens there.
///
/// TCP stands for HTTPS and gRPC too, and for HTTP probes that only kubelet can make: with headers,
/// or with an invalid path. Commands in a container, and probes of another host than the pod, are
/// left out.
pub(super) fn urls(spec: &PodSpec) -> Vec<String> {
    let mut urls = Vec::new();
    for container in &spec.containers {
        let probe = container.readiness_probe.as_ref();
        if let Some(url) = probe.and_then(|probe| url(container, probe))
            && !urls.contains(&url)
        {
            urls.push(url);
        }
    }
    urls
}

fn url(container: &Container, probe: &Probe) -> Option<String> {
    let tcp = |port: u16| format!("tcp://127.0.0.1:{port}");
    let elsewhere = |host: &Option<String>| host.as_ref().is_some_and(|host| !host.is_empty());
    if let Some(get) = &probe.http_get {
        if elsewhere(&get.host) {
            return None;
        }
        let port = number(container, &get.port)?;
        let plain = get.scheme.as_deref().is_none_or(|scheme| scheme == "HTTP")
            && get.http_headers.as_ref().is_none_or(Vec::is_empty);
        let path = get.path.as_deref().unwrap_or_default().trim_start_matches('/');
        let url = format!("http://127.0.0.1:{port}/{path}");
        // A Grape does not start with an invalid flag; and a comma before a scheme separates one
        // URL from the next.
        let readable = url.parse::<Uri>().is_ok() && !path.contains("://");
        return Some(if plain && readable { url } else { tcp(port) });
    }
    if let Some(socket) = &probe.tcp_socket {
        let port = number(container, &socket.port)?;
        return (!elsewhere(&socket.host)).then(|| tcp(port));
    }
    let grpc = probe.grpc.as_ref()?;
    number(container, &IntOrString::Int(grpc.port)).map(tcp)
}

/// A port of a container, 1 to 65535, by its number or its name.
fn number(container: &Container, port: &IntOrString) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports.find(|port| port.name.as_ref() == Some(name))?.container_port
        }
    };
    u16::try_from(number).ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::http("{httpGet: {path: /ready, port: 8080}}", &["http://127.0.0.1:8080/ready"])]
    #[case::by_name("{httpGet: {path: /ready, port: web}}", &["http://127.0.0.1:80/ready"])]
    #[case::no_path("{httpGet: {port: 80}}", &["http://127.0.0.1:80/"])]
    #[case::query("{httpGet: {path: 'a?b=c', port: 80}}", &["http://127.0.0.1:80/a?b=c"])]
    #[case::https("{httpGet: {path: /a, port: 443, scheme: HTTPS}}", &["tcp://127.0.0.1:443"])]
    #[case::headers(
        "{httpGet: {port: 80, httpHeaders: [{name: a, value: b}]}}", &["tcp://127.0.0.1:80"]
    )]
    #[case::no_url("{httpGet: {path: /a b, port: 80}}", &["tcp://127.0.0.1:80"])]
    #[case::two_urls("{httpGet: {path: '/a,http://b', port: 80}}", &["tcp://127.0.0.1:80"])]
    #[case::tcp("{tcpSocket: {port: 1337}}", &["tcp://127.0.0.1:1337"])]
    #[case::grpc("{grpc: {port: 9000}}", &["tcp://127.0.0.1:9000"])]
    #[case::command("{exec: {command: [ready]}}", &[])]
    #[case::elsewhere("{httpGet: {port: 80, host: 10.0.0.1}}", &[])]
    #[case::elsewhere_by_tcp("{tcpSocket: {port: 80, host: 10.0.0.1}}", &[])]
    #[case::unknown_name("{tcpSocket: {port: admin}}", &[])]
    #[case::no_port("{tcpSocket: {port: 0}}", &[])]
    #[case::large_port("{tcpSocket: {port: 65536}}", &[])]
    #[case::nothing("{}", &[])]
    fn a_probe_is_asked_from_within(#[case] probe: &str, #[case] expected: &[&str]) {
        let yaml = format!(
            "containers:\n- name: a\n  ports: [{{containerPort: 80, name: web}}]\n  \
             readinessProbe: {probe}\n- name: b\n  ports: [{{containerPort: 80, name: web}}]\n  \
             readinessProbe: {probe}\n  livenessProbe: {{tcpSocket: {{port: 9}}}}\n- name: c\n"
        );
        assert_eq!(urls(&serde_yaml::from_str(&yaml).unwrap()), expected);
    }
}
