//! The checks of what a template says of the pods themselves.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{
    EnvVar, EnvVarSource, HostAlias, PodDNSConfig, PodSecurityContext, SELinuxOptions, Sysctl,
};

use super::check::Check;
use crate::limits::pods as limits;
use crate::pods::DnsPolicy;
use crate::quantity;

impl Check {
    pub(super) fn env(&mut self, field: &str, variables: &[EnvVar]) {
        self.count(field, variables.len(), limits::ENV_LENGTH);
        let mut names = BTreeSet::new();
        for (index, EnvVar { name, value, value_from }) in variables.iter().enumerate() {
            let field = format!("{field}[{index}]");
            let name_field = format!("{field}.name");
            let shape = (limits::ENV_NAME_PATTERN, limits::ENV_NAME_LENGTH);
            self.text(&name_field, name, shape, limits::ENV_NAME_EXPECTED);
            if name.starts_with(limits::ENV_OWN_PREFIX) || name == limits::ENV_OWN_NAME {
                let problem = format!("{name:?} is the operator's");
                self.note(&name_field, problem, limits::ENV_NAME_EXPECTED);
            }
            if !names.insert(name) {
                self.note(&name_field, format!("{name:?} is there twice"), "each name once");
            }
            let value = value.as_deref().unwrap_or_default();
            self.length(&format!("{field}.value"), value, limits::ENV_VALUE_LENGTH);
            if let Some(source) = value_from {
                if !value.is_empty() {
                    self.note(&field, "has value and valueFrom", limits::ENV_SOURCE_EXPECTED);
                }
                self.env_source(&format!("{field}.valueFrom"), source);
            }
        }
    }

    fn env_source(&mut self, field: &str, source: &EnvVarSource) {
        let EnvVarSource { config_map_key_ref, field_ref, resource_field_ref, secret_key_ref } =
            source;
        let mut count = 0;
        let mut required = |name: &str, parts: &[(&str, &str)]| {
            count += 1;
            for (part, text) in parts {
                self.length(&format!("{field}.{name}.{part}"), text, limits::TEXT_LENGTH);
            }
        };
        if let Some(it) = config_map_key_ref {
            required("configMapKeyRef", &[("name", &it.name), ("key", &it.key)]);
        }
        if let Some(it) = secret_key_ref {
            required("secretKeyRef", &[("name", &it.name), ("key", &it.key)]);
        }
        if let Some(it) = field_ref {
            let version = it.api_version.as_deref().unwrap_or_default();
            required("fieldRef", &[("fieldPath", &it.field_path), ("apiVersion", version)]);
        }
        if let Some(it) = resource_field_ref {
            let container = it.container_name.as_deref().unwrap_or_default();
            required(
                "resourceFieldRef",
                &[("resource", &it.resource), ("containerName", container)],
            );
        }
        if count != 1 {
            self.note(field, format!("has {count} of them"), limits::ENV_FROM_EXPECTED);
        }
        let divisor = resource_field_ref.as_ref().and_then(|it| it.divisor.as_ref());
        if let Some(divisor) = divisor {
            let field = format!("{field}.resourceFieldRef.divisor");
            let shape = (quantity::PATTERN, quantity::MAX_LENGTH);
            self.text(&field, &divisor.0, shape, quantity::EXPECTED);
        }
    }

    /// `dnsPolicy` and `dnsConfig` of the template at `field`.
    pub(super) fn dns(
        &mut self,
        field: &str,
        policy: Option<DnsPolicy>,
        config: Option<&PodDNSConfig>,
    ) {
        let none = PodDNSConfig::default();
        let PodDNSConfig { nameservers, options, searches } = config.unwrap_or(&none);
        let nameservers = nameservers.as_deref().unwrap_or_default();
        if policy == Some(DnsPolicy::None) && nameservers.is_empty() {
            let field = format!("{field}.dnsPolicy");
            self.note(&field, "is None without nameservers", limits::DNS_EXPECTED);
        }
        let field = format!("{field}.dnsConfig");
        let servers_field = format!("{field}.nameservers");
        self.count(&servers_field, nameservers.len(), limits::NAMESERVERS_LENGTH);
        for (index, server) in nameservers.iter().enumerate() {
            self.address(&format!("{servers_field}[{index}]"), server);
        }
        let searches = searches.as_deref().unwrap_or_default();
        self.domains(&format!("{field}.searches"), searches, limits::SEARCHES_LENGTH);
        if searches.join(" ").len() > limits::SEARCHES_CHARACTERS {
            self.note(&format!("{field}.searches"), "is too long", limits::SEARCHES_EXPECTED);
        }
        let options = options.as_deref().unwrap_or_default();
        self.count(&format!("{field}.options"), options.len(), limits::DNS_OPTIONS_LENGTH);
        for (index, option) in options.iter().enumerate() {
            let field = format!("{field}.options[{index}]");
            let name = option.name.as_deref();
            if name.is_none() {
                self.note(&format!("{field}.name"), "is missing", "an option, as in ndots");
            }
            for (part, text) in [("name", name), ("value", option.value.as_deref())] {
                let text = text.unwrap_or_default();
                self.length(&format!("{field}.{part}"), text, limits::DNS_OPTION_LENGTH);
            }
        }
    }

    pub(super) fn host_aliases(&mut self, field: &str, aliases: &[HostAlias]) {
        self.count(field, aliases.len(), limits::HOST_ALIASES_LENGTH);
        let mut addresses = BTreeSet::new();
        for (index, HostAlias { hostnames, ip }) in aliases.iter().enumerate() {
            let field = format!("{field}[{index}]");
            self.address(&format!("{field}.ip"), ip);
            if !addresses.insert(ip) {
                let problem = format!("{ip:?} is there twice");
                self.note(&format!("{field}.ip"), problem, "each address once");
            }
            let names = hostnames.as_deref().unwrap_or_default();
            self.domains(&format!("{field}.hostnames"), names, limits::HOSTNAMES_LENGTH);
        }
    }

    /// The rights of pods, within Pod Security restricted.
    pub(super) fn security(&mut self, field: &str, context: &PodSecurityContext) {
        let PodSecurityContext {
            app_armor_profile,
            fs_group,
            fs_group_change_policy,
            run_as_group,
            run_as_non_root,
            run_as_user,
            se_linux_change_policy,
            se_linux_options,
            seccomp_profile,
            supplemental_groups,
            supplemental_groups_policy,
            sysctls,
            windows_options,
        } = context;
        if *run_as_non_root == Some(false) {
            let field = format!("{field}.runAsNonRoot");
            self.note(&field, "is false", limits::NON_ROOT_EXPECTED);
        }
        if let Some(user) = run_as_user.filter(|user| !(1..=limits::MAX_ID).contains(user)) {
            let problem = format!("{user} cannot be used");
            self.note(&format!("{field}.runAsUser"), problem, limits::USER_EXPECTED);
        }
        for (name, group) in [("runAsGroup", run_as_group), ("fsGroup", fs_group)] {
            self.group(&format!("{field}.{name}"), *group);
        }
        let groups = supplemental_groups.as_deref().unwrap_or_default();
        self.count(&format!("{field}.supplementalGroups"), groups.len(), limits::GROUPS_LENGTH);
        for (index, group) in groups.iter().enumerate() {
            self.group(&format!("{field}.supplementalGroups[{index}]"), Some(*group));
        }
        let policies = [
            ("fsGroupChangePolicy", fs_group_change_policy, &limits::FS_GROUP_POLICIES),
            ("supplementalGroupsPolicy", supplemental_groups_policy, &limits::GROUPS_POLICIES),
            ("seLinuxChangePolicy", se_linux_change_policy, &limits::SE_LINUX_POLICIES),
        ];
        for (name, policy, policies) in policies {
            if let Some(policy) = policy {
                self.one_of(&format!("{field}.{name}"), policy, policies);
            }
        }
        let seccomp = seccomp_profile.as_ref().map(|it| (&it.type_, &it.localhost_profile));
        let app_armor = app_armor_profile.as_ref().map(|it| (&it.type_, &it.localhost_profile));
        for (name, profile) in [("seccompProfile", seccomp), ("appArmorProfile", app_armor)] {
            if let Some((kind, local)) = profile {
                self.profile(&format!("{field}.{name}"), kind, local.as_deref());
            }
        }
        if let Some(options) = se_linux_options {
            self.se_linux(&format!("{field}.seLinuxOptions"), options);
        }
        self.sysctls(&format!("{field}.sysctls"), sysctls.as_deref().unwrap_or_default());
        if windows_options.is_some() {
            let field = format!("{field}.windowsOptions");
            self.note(&field, "is set", limits::WINDOWS_EXPECTED);
        }
    }

    fn profile(&mut self, field: &str, kind: &str, local: Option<&str>) {
        self.one_of(&format!("{field}.type"), kind, &limits::PROFILES);
        let local = local.unwrap_or_default();
        self.length(&format!("{field}.localhostProfile"), local, limits::TEXT_LENGTH);
        if (kind == limits::LOCAL_PROFILE) == local.is_empty() {
            let problem = format!("has type {kind} and localhostProfile {local:?}");
            self.note(field, problem, limits::PROFILE_EXPECTED);
        }
    }

    fn se_linux(&mut self, field: &str, options: &SELinuxOptions) {
        let SELinuxOptions { level, role, type_, user } = options;
        let level = level.as_deref().unwrap_or_default();
        self.length(&format!("{field}.level"), level, limits::TEXT_LENGTH);
        if let Some(kind) = type_ {
            self.one_of(&format!("{field}.type"), kind, &limits::SE_LINUX_TYPES);
        }
        for (name, text) in [("user", user), ("role", role)] {
            if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
                let problem = format!("{text:?} cannot be used");
                self.note(&format!("{field}.{name}"), problem, limits::SE_LINUX_EXPECTED);
            }
        }
    }

    fn sysctls(&mut self, field: &str, sysctls: &[Sysctl]) {
        self.count(field, sysctls.len(), limits::SYSCTLS_LENGTH);
        let mut names = BTreeSet::new();
        for (index, Sysctl { name, value }) in sysctls.iter().enumerate() {
            let field = format!("{field}[{index}]");
            self.one_of(&format!("{field}.name"), name, &limits::SYSCTLS);
            if !names.insert(name) {
                let problem = format!("{name:?} is there twice");
                self.note(&format!("{field}.name"), problem, "each setting once");
            }
            self.length(&format!("{field}.value"), value, limits::TEXT_LENGTH);
        }
    }

    fn group(&mut self, field: &str, group: Option<i64>) {
        if let Some(group) = group.filter(|group| !(0..=limits::MAX_ID).contains(group)) {
            self.note(field, format!("{group} cannot be used"), limits::GROUP_EXPECTED);
        }
    }

    fn domains(&mut self, field: &str, domains: &[String], most: usize) {
        self.count(field, domains.len(), most);
        for (index, domain) in domains.iter().enumerate() {
            let shape = (limits::DOMAIN_PATTERN, limits::DOMAIN_LENGTH);
            self.text(&format!("{field}[{index}]"), domain, shape, limits::DOMAIN_EXPECTED);
        }
    }

    fn address(&mut self, field: &str, text: &str) {
        // As the API server reads one: not an address of IPv4 as one of IPv6.
        let is_one = match text.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => address.to_ipv4_mapped().is_none(),
            Ok(IpAddr::V4(_)) => true,
            Err(_) => false,
        };
        if !is_one {
            self.note(field, format!("{text:?} cannot be used"), limits::ADDRESS_EXPECTED);
        }
    }

    fn one_of(&mut self, field: &str, text: &str, values: &[&str]) {
        if !values.contains(&text) {
            let named: Vec<_> = values.iter().filter(|value| !value.is_empty()).copied().collect();
            let expected = format!("one of {}", named.join(", "));
            self.note(field, format!("{text:?} cannot be used"), expected);
        }
    }

    fn length(&mut self, field: &str, text: &str, most: usize) {
        if text.chars().count() > most {
            self.note(field, "is too long", at_most(most));
        }
    }
}

fn at_most(characters: usize) -> String {
    format!("{characters} characters at most")
}
