//! A connection to a host: to whichever of its addresses takes it first.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::address::{Address, Host};
use super::names::Resolver;
use crate::verify::observation::{Failure, FailureKind};

/// The head start of an address before the next one is tried as well (RFC 8305, 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects; `turn` chooses which address is tried first, so that many connections spread over all of them.
pub(super) async fn connect(
    resolver: &Resolver,
    target: &Address,
    turn: usize,
) -> Result<TcpStream, Failure> {
    let mut addresses = match &target.host {
        Host::Ip(ip) => vec![*ip],
        Host::Name(name) => resolver
            .addresses(name)
            .await
            .map_err(|error| Failure::new(FailureKind::Unanswered, error.to_string()))?,
    };
    let length = addresses.len();
    addresses.rotate_left(turn % length.max(1));
    any_of(&addresses, target.port)
        .await
        .map_err(|error| Failure::new(FailureKind::Unanswered, in_words(&error, target)))
}

async fn any_of(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut rest = addresses.iter();
    let mut attempts = JoinSet::new();
    let mut error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(ip) = rest.next() {
            attempts.spawn(TcpStream::connect(SocketAddr::new(*ip, port)));
        }
        tokio::select! {
            Some(outcome) = attempts.join_next() => match outcome {
                Ok(Ok(stream)) => {
                    // One request, then the end: nothing gains from waiting for more to send.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(failed)) => error = failed,
                Err(_) => {}
            },
            () = sleep(HEAD_START), if rest.len() > 0 => {}
        }
        if attempts.is_empty() && rest.len() == 0 {
            return Err(error);
        }
    }
}

/// Without the number that the system gives an error.
fn in_words(error: &io::Error, target: &Address) -> String {
    let at = target.authority();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("{at} refuses connections: nothing listens there"),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            format!("{at} cannot be reached from here")
        }
        io::ErrorKind::TimedOut => format!("{at} does not take the connection"),
        _ => format!("no connection to {at}: {error}"),
    }
}
