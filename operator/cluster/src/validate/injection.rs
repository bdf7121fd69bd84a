//! The checks of who gets a Grape into its pods.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube_core::Selector;

use super::check::Check;
use super::{From, Injection};
use crate::{InjectionNamespaces, InjectionSpec, NamespacesFrom, limits};

impl Check {
    /// Where the cluster's own Grapes have these ports of the DHT and the API.
    pub(super) fn injection(&mut self, spec: &InjectionSpec, dht: i32, api: i32) -> Injection {
        let InjectionSpec { namespaces, resources, admin_port, dht_port, repair } = spec;
        let namespaces = self.namespaces("spec.injection.namespaces", namespaces);
        if let Some(resources) = resources {
            self.resources("spec.injection.resources", resources);
        }
        let (admin, own_dht) =
            (admin_port.unwrap_or(limits::ADMIN_PORT.into()), dht_port.unwrap_or(dht));
        Injection {
            namespaces,
            resources: resources.clone(),
            admin_port: self.sidecar_port(
                "spec.injection.adminPort",
                (*admin_port, admin),
                [api, own_dht],
                limits::SIDECAR_ADMIN_PORT_EXPECTED,
            ),
            dht_port: self.sidecar_port(
                "spec.injection.dhtPort",
                (*dht_port, own_dht),
                [api, admin],
                limits::SIDECAR_DHT_PORT_EXPECTED,
            ),
            repair: *repair,
        }
    }

    /// A port that is given, or else one that is known to be good, beside others.
    fn sidecar_port(
        &mut self,
        field: &str,
        (given, port): (Option<i32>, i32),
        others: [i32; 2],
        expected: &str,
    ) -> u16 {
        match given {
            None => u16::try_from(port).unwrap_or_default(),
            Some(given) => {
                if others.contains(&given) {
                    self.note(field, format!("{given} is taken"), expected);
                }
                self.number(field, given, limits::SIDECAR_PORT)
            }
        }
    }

    fn namespaces(&mut self, field: &str, namespaces: &InjectionNamespaces) -> From {
        let InjectionNamespaces { from, selector } = namespaces;
        match (from, selector) {
            (NamespacesFrom::Same, None) => From::Same,
            (NamespacesFrom::All, None) => From::All,
            (NamespacesFrom::Selector, Some(selector)) => {
                From::Selector(self.selector(&format!("{field}.selector"), selector))
            }
            (_, selector) => {
                let problem = if selector.is_some() { "has a selector" } else { "has no selector" };
                self.note(field, problem, limits::SELECTOR_EXPECTED);
                From::Same
            }
        }
    }

    fn selector(&mut self, field: &str, selector: &LabelSelector) -> Selector {
        let LabelSelector { match_labels, match_expressions } = selector;
        let most = limits::SELECTOR_LENGTH;
        let labels = match_labels.iter().flatten();
        self.count(&format!("{field}.matchLabels"), labels.clone().count(), most);
        for (key, value) in labels {
            self.label(&format!("{field}.matchLabels.{key}"), value);
        }
        let expressions = match_expressions.as_deref().unwrap_or_default();
        self.count(&format!("{field}.matchExpressions"), expressions.len(), most);
        for (index, expression) in expressions.iter().enumerate() {
            self.expression(&format!("{field}.matchExpressions[{index}]"), expression);
        }
        // What it does not read was noted above.
        Selector::try_from(selector.clone()).unwrap_or_default()
    }

    fn expression(&mut self, field: &str, expression: &LabelSelectorRequirement) {
        let LabelSelectorRequirement { key, operator, values } = expression;
        if key.is_empty() {
            self.note(&format!("{field}.key"), "is missing", "the key of a label");
        }
        self.label(&format!("{field}.key"), key);
        let values = values.as_deref().unwrap_or_default();
        self.count(&format!("{field}.values"), values.len(), limits::SELECTOR_LENGTH);
        for (index, value) in values.iter().enumerate() {
            self.label(&format!("{field}.values[{index}]"), value);
        }
        if !limits::SELECTOR_OPERATORS.contains(&operator.as_str()) {
            let expected = format!("one of {}", limits::SELECTOR_OPERATORS.join(", "));
            self.note(&format!("{field}.operator"), format!("{operator:?} is none"), expected);
        } else if matches!(operator.as_str(), "In" | "NotIn") == values.is_empty() {
            let problem = format!("{operator} with {} values", values.len());
            self.note(field, problem, limits::EXPRESSION_EXPECTED);
        }
    }

    /// A part of a label. What no label can be finds none, and is as good as any that finds none.
    fn label(&mut self, field: &str, text: &str) {
        let most = limits::LABEL_KEY_LENGTH;
        if text.chars().count() > most {
            self.note(field, "is too long", format!("{most} characters at most"));
        }
    }
}
