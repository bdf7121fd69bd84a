//! `NAME:PORT`: a service that the Grape announces by itself.

use std::fmt;
use std::str::FromStr;

use grape_engine::MAX_NAME;

/// A service by its name and its port on the Grape's host, as in `rest:util:net:7070`: the last
/// colon separates the two.
///
/// ```
/// use grape::services::{Declared, InvalidDeclared};
///
/// let service: Declared = "rest:util:net:7070".parse()?;
/// assert_eq!((&*service.name, service.port), ("rest:util:net", 7070));
/// # Ok::<(), InvalidDeclared>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Declared {
    /// Its name; not empty, without commas.
    pub name: String,
    /// Its TCP port, 1 to 65535.
    pub port: u16,
}

/// Why a text is not a [`Declared`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not NAME:PORT: {reason}")]
pub struct InvalidDeclared {
    text: String,
    reason: &'static str,
}

impl FromStr for Declared {
    type Err = InvalidDeclared;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason| InvalidDeclared { text: text.to_owned(), reason };
        let (name, port) = text
            .trim()
            .rsplit_once(':')
            .ok_or_else(|| invalid("a port is missing, as in rpc_test:1337"))?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port.parse() {
            Ok(port) if digits && port > 0 => port,
            _ => {
                return Err(invalid("the port, after the last colon, is a number from 1 to 65535"));
            }
        };
        if name.is_empty() {
            return Err(invalid("the name is missing, as in rpc_test:1337"));
        }
        if name.len() > MAX_NAME {
            return Err(invalid("the name is longer than 1024 bytes"));
        }
        if name.contains(',') {
            return Err(invalid("a comma parts one service from the next"));
        }
        Ok(Self { name: name.to_owned(), port })
    }
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

/// Services separated by commas; empty ones are skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredList(pub Vec<Declared>);

impl FromStr for DeclaredList {
    type Err = InvalidDeclared;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let services = text.split(',').map(str::trim).filter(|service| !service.is_empty());
        services.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("rpc_test:1337", "rpc_test", 1337)]
    #[case("rest:util:net:7070", "rest:util:net", 7070)]
    #[case(" a b:65535 ", "a b", 65535)]
    #[case("a::1", "a:", 1)]
    fn services_are_read(#[case] text: &str, #[case] name: &str, #[case] port: u16) {
        let service: Declared = text.parse().unwrap();
        assert_eq!(service, Declared { name: name.to_owned(), port });
        assert_eq!(service.to_string(), text.trim());
    }

    #[rstest]
    #[case("rpc_test", "a port is missing")]
    #[case("", "a port is missing")]
    #[case("rpc_test:", "1 to 65535")]
    #[case("rpc_test:0", "1 to 65535")]
    #[case("rpc_test:65536", "1 to 65535")]
    #[case("rpc_test:+80", "1 to 65535")]
    #[case("rpc_test:http", "1 to 65535")]
    #[case(":1337", "the name is missing")]
    #[case("a,b:1", "comma")]
    #[case(&format!("{}:1", "n".repeat(1025)), "longer than 1024 bytes")]
    fn other_texts_are_explained(#[case] text: &str, #[case] part: &str) {
        let error = text.parse::<Declared>().unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(&format!("{text:?}")), "{error}");
    }

    #[rstest]
    #[case("", &[])]
    #[case("a:1", &["a:1"])]
    #[case(",a:1, b:c:2,,", &["a:1", "b:c:2"])]
    fn lists_are_read(#[case] text: &str, #[case] services: &[&str]) {
        let list: DeclaredList = text.parse().unwrap();
        assert_eq!(list.0.iter().map(ToString::to_string).collect::<Vec<_>>(), services);
    }
}
