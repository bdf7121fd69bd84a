//! The API, asked from other hosts: a Grape that listens on all addresses, as npm's does by default.

use grape_tests::hosts::Host;
use grape_tests::our_grape;

/// What the command `grape` says on a host, of the Grape at this address; and whether it succeeded.
async fn asked(host: &Host, grape: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = host.command(our_grape::binary().unwrap());
    command.args(arguments).args(["--grape", &format!("http://{grape}:30001")]);
    let output = command.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn a_host_withdraws_what_it_announced_itself() {
    let a = Host::new("a").await.unwrap();
    let [b, c] = [a.neighbour("b").await.unwrap(), a.neighbour("c").await.unwrap()];
    for (host, interface, here, there) in
        [(&b, "eth0", "10.9.0.1/24", "10.9.0.2/24"), (&c, "eth1", "10.9.1.1/24", "10.9.1.2/24")]
    {
        a.connect(host, interface).await.unwrap();
        a.add_address(here, interface).await.unwrap();
        host.add_address(there, interface).await.unwrap();
    }
    let grape = a.grape(&["--bn="]).await.unwrap();
    let (of_a, of_b, of_c) = ("127.0.0.1", "10.9.0.1", "10.9.1.1");
    let announce = ["announce", "rpc_test", "7000"];
    let withdraw = ["withdraw", "rpc_test", "7000"];
    let found = async || !grape.lookup("rpc_test").await.unwrap().is_empty();
    let refused = "a program on another host withdraws only what it announced here";

    assert!(asked(&a, of_a, &announce).await.0);
    let (done, said) = asked(&b, of_b, &withdraw).await;
    assert!(!done && said.contains(refused), "{said}");
    assert!(found().await);

    // Both announce it, and each takes back its own.
    assert!(asked(&b, of_b, &announce).await.0);
    let (done, said) = asked(&c, of_c, &withdraw).await;
    assert!(!done && said.contains(refused), "{said}");
    asked(&b, of_b, &withdraw).await;
    assert!(found().await, "it is still announced on its own host");
    assert!(asked(&a, of_a, &withdraw).await.0);
    assert!(!found().await);

    assert!(asked(&b, of_b, &announce).await.0);
    assert!(asked(&c, of_c, &announce).await.0);
    asked(&b, of_b, &withdraw).await;
    assert!(found().await);
    asked(&c, of_c, &withdraw).await;
    assert!(!found().await, "the last has withdrawn it");

    // Whoever is on the Grape's own host speaks for all.
    assert!(asked(&b, of_b, &announce).await.0);
    assert!(asked(&a, of_a, &withdraw).await.0);
    assert!(!found().await);
}

/// Names of DNS lead to such addresses, and nobody has to list them.
#[tokio::test]
async fn any_name_of_the_host_is_answered_there() {
    let a = Host::new("a").await.unwrap();
    let b = a.neighbour("b").await.unwrap();
    a.connect(&b, "eth0").await.unwrap();
    a.add_address("10.9.0.1/24", "eth0").await.unwrap();
    b.add_address("10.9.0.2/24", "eth0").await.unwrap();
    let _grape = a.grape(&["--bn="]).await.unwrap();
    for (host, address, status) in [(&b, "10.9.0.1", "200 OK"), (&a, "127.0.0.1", "403 Forbidden")]
    {
        let line = format!(
            "exec 3<>/dev/tcp/{address}/30001; \
             printf 'GET /healthz HTTP/1.0\\r\\nHost: grape.example.org\\r\\n\\r\\n' >&3; cat <&3"
        );
        let output = host.command("bash").args(["-c", &line]).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            said.starts_with(&format!("HTTP/1.0 {status}"))
                || said.starts_with(&format!("HTTP/1.1 {status}")),
            "{said}"
        );
    }
}
