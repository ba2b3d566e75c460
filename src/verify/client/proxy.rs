//! The proxy that the environment names, as curl and others read it: `https_proxy`, `http_proxy`, `all_proxy`, `no_proxy`, and
//! the same in capitals.

use std::net::IpAddr;

use super::address::{Address, Host};

/// A proxy, and what it is told to let us through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proxy {
    /// Where it is.
    pub address: Address,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<String>,
}

/// A variable holds what is no address of a proxy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{variable} does not hold the address of an HTTP proxy: {why}; expected one such as http://proxy.example:3128"
)]
pub struct NotAProxy {
    /// The variable; never its value, which can hold a password.
    pub variable: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The proxy for `target`, by the variables that `read` knows.
pub fn choose(target: &Address, read: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>, NotAProxy> {
    let either = |name: &str| {
        let capitals = name.to_ascii_uppercase();
        read(name)
            .map(|value| (name.to_owned(), value))
            .or_else(|| read(&capitals).map(|value| (capitals, value)))
    };
    // What is on this machine no proxy can reach.
    if target.host.is_loopback() || either("no_proxy").is_some_and(|(_, list)| excludes(&list, target)) {
        return Ok(None);
    }
    let own = if target.tls { "https_proxy" } else { "http_proxy" };
    let Some((variable, value)) = either(own).or_else(|| either("all_proxy")) else {
        return Ok(None);
    };
    parse(&value).map(Some).map_err(|why| NotAProxy { variable, why })
}

fn parse(value: &str) -> Result<Proxy, &'static str> {
    let value = value.trim();
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let (user, host) = match rest.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, rest),
    };
    Ok(Proxy {
        address: Address::parse(&format!("{}://{host}", scheme.to_ascii_lowercase()))?,
        authorization: user.map(|user| format!("Basic {}", base64(&decoded(user)))),
    })
}

/// Whether a list such as `example.org,.internal:8080,10.0.0.0/8` names the target.
fn excludes(list: &str, target: &Address) -> bool {
    list.split([',', ' '])
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| {
            if entry == "*" {
                return true;
            }
            if let Some((network, bits)) = entry.split_once('/') {
                return matches!(&target.host, Host::Ip(ip) if contains(network, bits, *ip));
            }
            let entry = entry.strip_prefix("*.").unwrap_or(entry).trim_start_matches('.');
            // An IPv6 address has colons of its own.
            let (host, port) = match entry.rsplit_once(':') {
                Some((host, port)) if Host::parse(entry).is_none() => (host, Some(port)),
                _ => (entry, None),
            };
            if port.is_some_and(|port| port.parse() != Ok(target.port)) {
                return false;
            }
            match (Host::parse(host), &target.host) {
                (Some(Host::Name(suffix)), Host::Name(name)) => name
                    .strip_suffix(&suffix)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
                (Some(host), target) => host == *target,
                (None, _) => false,
            }
        })
}

fn contains(network: &str, bits: &str, ip: IpAddr) -> bool {
    let Ok(bits) = bits.parse::<u32>() else {
        return false;
    };
    let of = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (32, u128::from(u32::from(ip))),
        IpAddr::V6(ip) => (128, u128::from(ip)),
    };
    let Ok(network) = network.trim_matches(['[', ']']).parse::<IpAddr>() else {
        return false;
    };
    let ((length, network), (other, ip)) = (of(network), of(ip));
    length == other && bits <= length && {
        let rest = length - bits;
        rest >= 128 || network >> rest == ip >> rest
    }
}

/// Percent signs undone.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let digits = others
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &others[2..];
            }
            _ => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    bytes
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|index| chunk.get(index).copied().unwrap_or_default());
        let word = u32::from_be_bytes([0, a, b, c]);
        for index in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * index) & 63) as usize];
            text.push(if index > chunk.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(target: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let target = Address::parse(target).expect(target);
        let read = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        choose(&target, read)
            .map(|proxy| proxy.map(|proxy| proxy.address.to_string()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_scheme_chooses_the_variable() {
        let variables = [
            ("http_proxy", "http://plain.example:1"),
            ("HTTPS_PROXY", "secure.example:2"),
            ("ALL_PROXY", "all.example:3"),
        ];
        assert_eq!(
            chosen("http://x.example", &variables),
            Ok(Some("http://plain.example:1/".into()))
        );
        assert_eq!(
            chosen("https://x.example", &variables),
            Ok(Some("http://secure.example:2/".into()))
        );
        assert_eq!(
            chosen("https://x.example", &variables[2..]),
            Ok(Some("http://all.example:3/".into()))
        );
        assert_eq!(chosen("https://x.example", &variables[..1]), Ok(None));
    }

    #[test]
    fn what_is_excluded_or_on_this_machine_is_asked_directly() {
        for (target, list, direct) in [
            ("http://localhost:8080", "", true),
            ("http://bifora.alb.localhost", "", true),
            ("http://[::1]", "", true),
            ("http://x.example", "", false),
            ("http://x.example", "*", true),
            ("http://x.example", "other.example, example", true),
            ("http://x.example", ".x.example", true),
            ("http://x.example", "*.example", true),
            ("http://notx.example", "x.example", false),
            ("http://x.example:81", "x.example:80", false),
            ("http://x.example:81", "x.example:81", true),
            ("http://10.1.2.3", "10.0.0.0/8", true),
            ("http://11.1.2.3", "10.0.0.0/8,0.0.0.0/64,x/8,10/x", false),
            ("http://11.1.2.3", "0.0.0.0/0", true),
            ("http://[fd00::1]", "fd00::/8", true),
            ("http://[fd00::1]", "fd00::1", true),
            ("http://[fd00::1]", "10.0.0.0/8", false),
        ] {
            let variables = [("http_proxy", "p.example:1"), ("NO_PROXY", list)];
            assert_eq!(
                chosen(target, &variables).expect("good").is_none(),
                direct,
                "{target} {list}"
            );
        }
    }

    #[test]
    fn users_are_sent_and_errors_keep_them_secret() {
        let proxy = parse("http://me:p%40ss%zz@p.example:1").expect("good");
        assert_eq!(proxy.authorization.as_deref(), Some("Basic bWU6cEBzcyV6eg=="));
        for (value, part) in [
            ("socks5://me:secret@p.example", "neither http nor https"),
            ("http://", "it is no address"),
        ] {
            let error = chosen("http://x.example", &[("ALL_PROXY", value)]).expect_err(value);
            assert!(error.starts_with("ALL_PROXY ") && error.contains(part), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn base64_is_as_in_its_rfc() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }
}
