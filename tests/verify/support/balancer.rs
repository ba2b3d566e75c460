//! HAProxy from Debian, in turn, a connection to the server for each request.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{eventually, variable};

/// A running load balancer. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Balancer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    child: Child,
    /// With its configuration.
    _folder: Option<TempDir>,
}

impl Balancer {
    /// In front of these.
    pub(crate) fn before(servers: &[SocketAddr]) -> Self {
        Self::start("127.0.0.1", "", "", servers)
    }

    /// On `host`, with `options` for what it listens on, such as a certificate, and with `rules`, which may
    /// end with a backend of their own.
    pub(crate) fn start(host: &str, options: &str, rules: &str, servers: &[SocketAddr]) -> Self {
        // Between the choice of a port and its use another program may take it.
        let tries = (0..5).find_map(|_| Self::try_start(host, options, rules, servers));
        tries.expect("HAProxy starts")
    }

    fn try_start(host: &str, options: &str, rules: &str, servers: &[SocketAddr]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let address = free_address(host);
        let tasks: String = servers
            .iter()
            .enumerate()
            .map(|(index, server)| format!("  server task{index} {server}\n"))
            .collect();
        let configuration = format!(
            "global\n  nbthread 1\ndefaults\n  mode http\n  balance roundrobin\n  option http-server-close\n\
             \x20 timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  retries 0\n\
             frontend visitors\n  bind {address} {options}\n  default_backend tasks\n{rules}\n\
             backend tasks\n{tasks}"
        );
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, configuration).expect("writable");
        Self::run(&file, &[], address).map(|mut balancer| {
            balancer._folder = Some(folder);
            balancer
        })
    }

    /// As the README has it, in front of a process of each architecture.
    pub(crate) fn of_the_readme(x86_64: SocketAddr, aarch64: SocketAddr) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/two-processes.cfg");
        let tries = (0..5).find_map(|_| {
            let address = free_address("127.0.0.1");
            let variables = [
                ("BIFORA_VISITORS", address),
                ("BIFORA_X86_64", x86_64),
                ("BIFORA_AARCH64", aarch64),
            ];
            Self::run(&file, &variables, address)
        });
        tries.expect("HAProxy starts")
    }

    /// With a configuration that has it listen at `address`; nothing, if it ends instead.
    fn run(file: &Path, variables: &[(&str, SocketAddr)], address: SocketAddr) -> Option<Self> {
        let haproxy = variable("BIFORA_HAPROXY").unwrap_or_else(|| "/usr/sbin/haproxy".to_owned());
        let mut child = Command::new(haproxy)
            .args(["-db", "-q", "-f"])
            .arg(file)
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value.to_string())))
            .stdin(Stdio::null())
            .spawn()
            .expect("HAProxy is installed");
        let listens = eventually("HAProxy listens, or ends", || {
            if child.try_wait().expect("it is our child").is_some() {
                return Some(false);
            }
            TcpStream::connect(address).ok().map(|_| true)
        });
        listens.then_some(Self {
            address,
            child,
            _folder: None,
        })
    }

    /// Its address as `verify` takes it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address on `host` that is free at this moment.
fn free_address(host: &str) -> SocketAddr {
    let free = TcpListener::bind(format!("{host}:0")).expect("a free port");
    free.local_addr().expect("bound")
}
