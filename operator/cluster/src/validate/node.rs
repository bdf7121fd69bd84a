//! The checks of what each Grape does.

use grape::config::HostPort;
use ipnet::IpNet;

use super::check::Check;
use super::{Api, Dht};
use crate::{ApiSpec, DhtSpec, limits};

impl Check {
    pub(super) fn dht(&mut self, spec: &DhtSpec) -> Dht {
        let DhtSpec {
            port,
            concurrency,
            peer_max_age,
            node_liveness,
            max_tables,
            max_values,
            bootstrap,
            trust_nets,
            network,
        } = spec;
        if let Some(network) = network {
            let shape = (limits::NETWORK_PATTERN, limits::NETWORK_LENGTH);
            self.text("spec.dht.network", network, shape, limits::NETWORK_EXPECTED);
        }
        Dht {
            port: self.number("spec.dht.port", *port, limits::PORT),
            concurrency: self.number("spec.dht.concurrency", *concurrency, limits::CONCURRENCY),
            peer_max_age: self.duration("spec.dht.peerMaxAge", peer_max_age, limits::AGE),
            node_liveness: self.duration("spec.dht.nodeLiveness", node_liveness, limits::AGE),
            max_tables: self.number("spec.dht.maxTables", *max_tables, limits::TABLES),
            max_values: self.number("spec.dht.maxValues", *max_values, limits::VALUES),
            bootstrap: self.bootstrap("spec.dht.bootstrap", bootstrap),
            trust_nets: self.trust_nets("spec.dht.trustNets", trust_nets),
            network: network.clone(),
        }
    }

    pub(super) fn api(&mut self, spec: &ApiSpec) -> Api {
        let ApiSpec { port, max_payload_size } = spec;
        if *port == i32::from(limits::ADMIN_PORT) {
            self.note("spec.api.port", format!("{port} is taken"), limits::API_PORT_EXPECTED);
        }
        Api {
            port: self.number("spec.api.port", *port, limits::PORT),
            max_payload_size: self.number(
                "spec.api.maxPayloadSize",
                *max_payload_size,
                limits::PAYLOAD,
            ),
        }
    }

    fn trust_nets(&mut self, field: &str, networks: &[String]) -> Vec<IpNet> {
        self.count(field, networks.len(), limits::TRUST_NETS_LENGTH);
        let mut parsed = Vec::new();
        for (index, network) in networks.iter().enumerate() {
            match network.parse() {
                Ok(network) => parsed.push(network),
                Err(_) => self.note(
                    &format!("{field}[{index}]"),
                    format!("{network:?} is no network"),
                    limits::SUBNET_EXPECTED,
                ),
            }
        }
        parsed
    }

    fn bootstrap(&mut self, field: &str, addresses: &[String]) -> Vec<HostPort> {
        self.count(field, addresses.len(), limits::BOOTSTRAP_LENGTH);
        let mut hosts = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            let field = format!("{field}[{index}]");
            match address.parse::<HostPort>() {
                Ok(host) if address.len() <= limits::HOST_PORT_LENGTH => {
                    if hosts.contains(&host) {
                        self.note(&field, format!("{address:?} is there twice"), "each Grape once");
                    }
                    hosts.push(host);
                }
                Ok(_) => self.note(&field, "is too long", limits::HOST_PORT_EXPECTED),
                Err(_) => self.note(
                    &field,
                    format!("{address:?} is not the address of a Grape"),
                    limits::HOST_PORT_EXPECTED,
                ),
            }
        }
        hosts
    }
}
