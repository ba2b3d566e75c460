//! Addresses: what can be asked, and where a redirect leads from there.

use std::fmt;
use std::net::IpAddr;

use hyper::Uri;

/// Where something is asked: scheme, host, port and path.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Address {
    /// Whether by https.
    pub tls: bool,
    /// A name or an IP address.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// Path and query, which begin with `/`.
    pub path: String,
}

/// Who is asked.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Host {
    /// A name, in lower case.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

impl Address {
    /// Reads `http://…` or `https://…`; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "it is no address")?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err("neither http nor https"),
            None => return Err("it begins with neither http:// nor https://"),
        };
        let authority = uri.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("it has a user in it");
        }
        let host = Host::parse(authority.host()).ok_or("its host is neither a name nor an IP address")?;
        // The parser takes ports that are none for part of the host.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => None,
            Some(rest) => {
                let port = rest.strip_prefix(':').and_then(|port| port.parse().ok());
                Some(
                    port.filter(|port| *port != 0)
                        .ok_or("its port is no number from 1 to 65535")?,
                )
            }
            None => return Err("it is no address"),
        };
        Ok(Self {
            tls,
            host,
            port: port.unwrap_or(if tls { 443 } else { 80 }),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }

    /// The address of a deployment: without a query, and with a path that others can be put behind.
    pub fn parse_base(text: &str) -> Result<Self, &'static str> {
        let mut address = Self::parse(text)?;
        if text.contains(['?', '#']) {
            return Err("it has a query or a fragment");
        }
        address.path = address.path.trim_end_matches('/').to_owned();
        Ok(address)
    }

    /// This address with `path` behind its own.
    #[must_use]
    pub fn join(&self, path: &str) -> Self {
        Self {
            path: format!("{}{path}", self.path),
            ..self.clone()
        }
    }

    /// Where `Location: target` leads from here.
    pub fn redirect(&self, target: &str) -> Result<Self, &'static str> {
        let target = target.trim().split('#').next().unwrap_or_default();
        if target.is_empty() {
            return Err("it is empty");
        }
        let scheme = if self.tls { "https" } else { "http" };
        if target.contains("://") && !target.starts_with('/') {
            return Self::parse(target);
        }
        if let Some(rest) = target.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        let own = self.path.split('?').next().unwrap_or_default();
        let path = if target.starts_with('/') {
            target.to_owned()
        } else if target.starts_with('?') {
            format!("{own}{target}")
        } else {
            let folder = own.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/{target}")
        };
        Self::parse(&format!("{scheme}://{}{path}", self.authority()))
    }

    /// Host and port, the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == if self.tls { 443 } else { 80 } {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Host {
    /// Reads a name or an IP address, an IPv6 address in brackets or without.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Some(Self::Ip(ip));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        // What consists of digits alone is an IP address that is wrong, and no name.
        let is_number = name
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        (name.len() <= 253 && name.split('.').all(label) && !is_number).then_some(Self::Name(name))
    }

    /// Whether it is this machine itself.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Ip(ip) => ip.to_canonical().is_loopback(),
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_of_deployments_are_read() {
        for (text, shown) in [
            (
                "http://bifora-1.eu-central-1.elb.amazonaws.com",
                "http://bifora-1.eu-central-1.elb.amazonaws.com",
            ),
            (
                "http://bifora-1.eu-central-1.elb.amazonaws.com/",
                "http://bifora-1.eu-central-1.elb.amazonaws.com",
            ),
            ("https://EXAMPLE.org:443", "https://example.org"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://127.0.0.1:80/app/", "http://127.0.0.1/app"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://my_service:8080", "http://my_service:8080"),
        ] {
            assert_eq!(Address::parse_base(text).expect(text).to_string(), shown);
        }
        for text in [
            "",
            "example.org",
            "localhost:8080",
            "ftp://example.org",
            "http://",
            "http:///x",
            "http://a b",
            "http://user:pw@example.org",
            "http://example.org?x=1",
            "http://example.org/#x",
            "http://example.org:0",
            "http://example.org:70000",
            "http://example.org:x",
            "http://1.2.3",
            "http://256.1.1.1",
            "http://[::1",
            "http://-..-",
            "http://ü.example",
        ] {
            assert!(Address::parse_base(text).is_err(), "{text}");
        }
    }

    #[test]
    fn redirects_lead_where_they_say() {
        let from = Address::parse("http://a.example:8080/x/y?q").expect("good");
        for (target, to) in [
            ("https://b.example/z", "https://b.example/z"),
            ("//b.example/z", "http://b.example/z"),
            ("/z?r#s", "http://a.example:8080/z?r"),
            ("z", "http://a.example:8080/x/z"),
            ("?r=http://c.example/", ""),
            (
                "/login?back=http://c.example/",
                "http://a.example:8080/login?back=http://c.example/",
            ),
        ] {
            if !to.is_empty() {
                assert_eq!(from.redirect(target).expect(target).to_string(), to);
            }
        }
        for target in ["", "#x", "javascript://x", "http://", "mailto://x@y"] {
            assert!(from.redirect(target).is_err(), "{target}");
        }
    }

    #[test]
    fn this_machine_is_recognised() {
        for (host, is) in [
            ("localhost", true),
            ("bifora.alb.localhost", true),
            ("127.1.2.3", true),
            ("[::1]", true),
            ("::ffff:127.0.0.1", true),
            ("example.org", false),
            ("10.0.0.1", false),
            ("notlocalhost", false),
        ] {
            assert_eq!(Host::parse(host).expect(host).is_loopback(), is, "{host}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), target in any::<String>()) {
            let _ = Address::parse_base(&text);
            let from = Address::parse("https://a.example/x").expect("good");
            let _ = from.redirect(&target);
        }
    }
}
