//! Names to addresses: a static binary has no resolver of the system's, and what glibc would load of it at run time is of
//! another release as often as not. So this asks as `/etc/hosts` and `/etc/resolv.conf` say: RFC 1035, over UDP, and over TCP
//! what does not fit.

mod message;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use self::message::{Kind, Reply};

/// How long one server may take for one question.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often all servers are asked.
const ATTEMPTS: usize = 2;

/// How long the second of two answers, A and AAAA, is waited for once the first is there.
const STRAGGLER: Duration = Duration::from_millis(300);

/// How long an answer is used again: short, because load balancers move.
const FRESH: Duration = Duration::from_secs(5);

/// Why a name has no address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// Nobody knows it.
    #[error("there is no name {0} in the DNS")]
    Unknown(String),
    /// It exists, without addresses.
    #[error("the name {0} has no address in the DNS")]
    Empty(String),
    /// No server answers.
    #[error("the address of {0} cannot be found out: {1}")]
    Unanswered(String, String),
}

/// How names are looked up on this machine.
#[derive(Debug)]
pub struct Resolver {
    hosts: Vec<(IpAddr, Vec<String>)>,
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    dots: usize,
    last: Mutex<Option<(String, Instant, Vec<IpAddr>)>>,
}

impl Resolver {
    /// As this machine's files say.
    pub fn of_this_machine() -> Self {
        let read = |path: &str| std::fs::read(Path::new(path)).unwrap_or_default();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self::new(&text(read("/etc/hosts")), &text(read("/etc/resolv.conf")))
    }

    fn new(hosts: &str, conf: &str) -> Self {
        let mut resolver = Self {
            hosts: Vec::new(),
            servers: Vec::new(),
            search: Vec::new(),
            dots: 1,
            last: Mutex::new(None),
        };
        for line in hosts.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            if let Some(ip) = words.next().and_then(|ip| ip.parse().ok()) {
                resolver
                    .hosts
                    .push((ip, words.map(str::to_ascii_lowercase).collect()));
            }
        }
        for line in conf.lines().filter(|line| !line.starts_with(['#', ';'])) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // The zone of a link-local address is not for us to use.
                    if let Some(ip) = words.next().and_then(|ip| ip.parse().ok()) {
                        resolver.servers.push(SocketAddr::new(ip, 53));
                    }
                }
                Some("search" | "domain") => {
                    resolver.search = words.map(|word| word.trim_matches('.').to_owned()).collect();
                }
                Some("options") => {
                    let dots = words.find_map(|word| word.strip_prefix("ndots:"));
                    resolver.dots = dots.and_then(|dots| dots.parse().ok()).unwrap_or(resolver.dots);
                }
                _ => {}
            }
        }
        resolver.search.retain(|domain| !domain.is_empty());
        resolver.servers.truncate(3);
        if resolver.servers.is_empty() {
            resolver.servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
        }
        resolver
    }

    /// The addresses of a name, IPv6 and IPv4 by turns.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, NameError> {
        let mut listed: Vec<_> = self
            .hosts
            .iter()
            .filter(|(_, names)| names.iter().any(|known| known == name))
            .map(|(ip, _)| *ip)
            .collect();
        // RFC 6761: these never leave the machine. What listens at one of both addresses is found, whichever the file lists.
        if name == "localhost" || (listed.is_empty() && name.ends_with(".localhost")) {
            let both: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
            for ip in both {
                if !listed.contains(&ip) {
                    listed.push(ip);
                }
            }
        }
        if !listed.is_empty() {
            return Ok(by_turns(listed));
        }
        if let Some(addresses) = self.remembered(name) {
            return Ok(addresses);
        }
        let mut outcome = Err(NameError::Unknown(name.to_owned()));
        for candidate in self.candidates(name) {
            match self.ask(&candidate).await {
                Ok(addresses) => {
                    outcome = Ok(by_turns(addresses));
                    break;
                }
                // Of several, the name as it was given says most.
                Err(error) if candidate == name || matches!(error, NameError::Unanswered(..)) => {
                    outcome = Err(error);
                }
                Err(_) => {}
            }
        }
        if let Ok(addresses) = &outcome {
            *self
                .last
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) =
                Some((name.to_owned(), Instant::now(), addresses.clone()));
        }
        outcome
    }

    fn remembered(&self, name: &str) -> Option<Vec<IpAddr>> {
        let last = self
            .last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        last.as_ref()
            .filter(|(known, since, _)| known == name && since.elapsed() < FRESH)
            .map(|(_, _, addresses)| addresses.clone())
    }

    /// The name, and the name within each domain to search: first whichever has dots enough to be whole.
    fn candidates(&self, name: &str) -> Vec<String> {
        let mut names: Vec<_> = self
            .search
            .iter()
            .map(|domain| format!("{name}.{domain}"))
            .collect();
        let whole = name.matches('.').count() >= self.dots;
        names.insert(if whole { 0 } else { names.len() }, name.to_owned());
        names
    }

    /// Asks for both kinds of addresses at once.
    async fn ask(&self, name: &str) -> Result<Vec<IpAddr>, NameError> {
        let mut four = std::pin::pin!(self.ask_for(name, Kind::A));
        let mut six = std::pin::pin!(self.ask_for(name, Kind::Aaaa));
        let (first, second) = tokio::select! {
            first = &mut four => {
                let limit = if first.is_ok() { STRAGGLER } else { PATIENCE * 8 };
                (first, timeout(limit, six).await)
            }
            first = &mut six => {
                let limit = if first.as_ref().is_ok_and(|found| !found.is_empty()) { STRAGGLER } else { PATIENCE * 8 };
                (first, timeout(limit, four).await)
            }
        };
        match (first, second) {
            (Ok(mut found), Ok(Ok(others))) => {
                found.extend(others);
                if found.is_empty() {
                    return Err(NameError::Empty(name.to_owned()));
                }
                Ok(found)
            }
            (Ok(found), _) | (Err(_), Ok(Ok(found))) if !found.is_empty() => Ok(found),
            (Ok(_), _) | (_, Ok(Ok(_))) => Err(NameError::Empty(name.to_owned())),
            (Err(error), _) => Err(error),
        }
    }

    async fn ask_for(&self, name: &str, kind: Kind) -> Result<Vec<IpAddr>, NameError> {
        let unanswered = |why: String| NameError::Unanswered(name.to_owned(), why);
        let mut error = unanswered("no name server is known".to_owned());
        for server in std::iter::repeat_n(&self.servers, ATTEMPTS).flatten() {
            error = match timeout(PATIENCE, exchange(*server, name, kind)).await {
                Err(_) => unanswered(format!("the name server {} does not answer", server.ip())),
                Ok(Err(failed)) => unanswered(format!("asking the name server {}: {failed}", server.ip())),
                Ok(Ok(Reply::Found(addresses))) => return Ok(addresses),
                Ok(Ok(Reply::NoSuchName)) => return Err(NameError::Unknown(name.to_owned())),
                Ok(Ok(Reply::Refused(code))) => unanswered(format!(
                    "the name server {} answers with error {code}",
                    server.ip()
                )),
                Ok(Ok(Reply::Truncated)) => {
                    unanswered(format!("the name server {} cuts its answer short", server.ip()))
                }
            };
        }
        Err(error)
    }
}

/// One question to one server.
async fn exchange(server: SocketAddr, name: &str, kind: Kind) -> std::io::Result<Reply> {
    let id = fastrand::u16(..);
    let question = message::question(id, name, kind)
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidInput, "the name is too long"))?;
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question).await?;
    let mut buffer = [0; 1232];
    let reply = loop {
        let length = socket.recv(&mut buffer).await?;
        // Anything else that arrives is not for us.
        if let Some(reply) = message::read(&buffer[..length], &question) {
            break reply;
        }
    };
    if reply != Reply::Truncated {
        return Ok(reply);
    }
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
    stream
        .write_all(&[&length.to_be_bytes()[..], &question].concat())
        .await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    message::read(&answer, &question).ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidData))
}

/// Both families by turns, IPv6 first, so that one that leads nowhere costs little.
fn by_turns(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = [six.next(), four.next()];
        if pair == [None, None] {
            return mixed;
        }
        mixed.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_come_first() {
        let resolver = Resolver::new(
            "127.0.0.9 here.example HERE # not.example\n::9 here.example\nx y\n",
            "",
        );
        let found = resolver.addresses("here.example").await.expect("listed");
        assert_eq!(
            found,
            [
                "::9".parse::<IpAddr>().expect("good"),
                "127.0.0.9".parse().expect("good")
            ]
        );
        assert_eq!(resolver.addresses("here").await.expect("listed").len(), 1);
        let found = resolver
            .addresses("bifora.alb.localhost")
            .await
            .expect("this machine");
        assert!(found.iter().all(IpAddr::is_loopback));
        let resolver = Resolver::new("127.0.0.1 localhost\n", "");
        let found = resolver.addresses("localhost").await.expect("this machine");
        let both: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
        assert_eq!(found, both);
    }

    #[test]
    fn the_machines_settings_are_read() {
        let conf = "# x\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\nnameserver ::1\nsearch a.example b.example.\n\
                    options timeout:1 ndots:2\n";
        let resolver = Resolver::new("", conf);
        assert_eq!(
            resolver.servers,
            [
                "10.0.0.2:53".parse().expect("good"),
                "[::1]:53".parse().expect("good")
            ]
        );
        assert_eq!(
            resolver.candidates("alb"),
            ["alb.a.example", "alb.b.example", "alb"]
        );
        assert_eq!(resolver.candidates("x.y.z")[0], "x.y.z");
        assert_eq!(Resolver::new("", "").servers.len(), 1);
    }

    /// A name server of the test's own, which answers by `answer`.
    async fn resolver(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> Resolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let mut resolver = Resolver::new("", "");
        resolver.servers = vec![socket.local_addr().expect("bound")];
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let _ = socket.send_to(&answer(&buffer[..length]), from).await;
            }
        });
        resolver
    }

    fn reply(question: &[u8], code: u8, records: &[u8], count: u8) -> Vec<u8> {
        let mut bytes = question.to_vec();
        bytes[2] |= 0x80;
        bytes[3] = 0x80 | code;
        bytes[7] = count;
        bytes.extend_from_slice(records);
        bytes
    }

    #[tokio::test]
    async fn a_server_is_asked_for_both_families() {
        let resolver = resolver(|question| {
            let six = question[question.len() - 3] == 28;
            let mut record = vec![
                0xc0,
                12,
                0,
                if six { 28 } else { 1 },
                0,
                1,
                0,
                0,
                0,
                60,
                0,
                if six { 16 } else { 4 },
            ];
            record.extend_from_slice(&if six { vec![1; 16] } else { vec![10, 0, 0, 7] });
            reply(question, 0, &record, 1)
        })
        .await;
        let found = resolver.addresses("x.example").await.expect("found");
        assert_eq!(found.len(), 2);
        assert!(found[0].is_ipv6() && found[1] == Ipv4Addr::new(10, 0, 0, 7));
        assert_eq!(resolver.remembered("x.example"), Some(found));
    }

    #[tokio::test]
    async fn what_is_not_there_is_said() {
        let unknown = resolver(|question| reply(question, 3, &[], 0)).await;
        assert_eq!(
            unknown.addresses("x.example").await,
            Err(NameError::Unknown("x.example".to_owned()))
        );
        let empty = resolver(|question| reply(question, 0, &[], 0)).await;
        assert_eq!(
            empty.addresses("x.example").await,
            Err(NameError::Empty("x.example".to_owned()))
        );
        let broken = resolver(|question| reply(question, 2, &[], 0)).await;
        let error = broken
            .addresses("x.example")
            .await
            .expect_err("SERVFAIL")
            .to_string();
        assert!(
            error.contains("x.example") && error.contains("answers with error 2"),
            "{error}"
        );
    }
}
