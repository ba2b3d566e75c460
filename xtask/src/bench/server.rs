//! A server under measurement: started on a free port, asked until it answers, ended whatever happens.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A server that has not answered by then never will.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server. Dropping it ends it.
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
    /// From the start of the process to its first answer.
    pub(super) ready_after: Duration,
}

/// How much memory a process has in use, in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Memory {
    /// Now.
    pub(super) resident: u64,
    /// At most, since its start.
    pub(super) peak: u64,
}

impl Server {
    /// Starts `program` with the arguments for a port, and waits until it is ready.
    pub(super) fn start(program: &Path, arguments: impl FnOnce(u16) -> Vec<OsString>) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        // Default settings, whatever the developer's environment says; and a log that costs what writing it costs.
        command
            .args(arguments(address.port()))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut server = Self {
            child,
            address,
            ready_after: Duration::ZERO,
        };
        loop {
            if is_ready(address) {
                server.ready_after = started.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("`{command:?}` has ended ({status}) instead of answering");
            }
            if started.elapsed() > PATIENCE {
                bail!("`{command:?}` does not answer 200 to /readyz on {address}");
            }
            // Short beside what is measured, and leaves the processor to the server.
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// The URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What the kernel says about its memory.
    pub(super) fn memory(&self) -> Result<Memory> {
        let file = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        Memory::parse(&status).with_context(|| format!("{file} says nothing about memory"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killed, because draining would only take time; the errors say that it is gone already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Memory {
    fn parse(status: &str) -> Option<Self> {
        let kibibytes = |key: &str| -> Option<u64> {
            let value = status
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            value.trim().strip_suffix("kB")?.trim().parse().ok()
        };
        Some(Self {
            resident: kibibytes("VmRSS")? * 1024,
            peak: kibibytes("VmHWM")? * 1024,
        })
    }
}

fn free_address() -> Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .context("no port is free")
}

/// Whether the server answers 200. By hand, because setting up a client would take as long as the server's start.
fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<[u8; 12]> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status)
    };
    ask().is_ok_and(|status| &status == b"HTTP/1.1 200")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tbifora\nVmHWM:\t    5120 kB\nVmRSS:\t    4096 kB\nThreads:\t3\n";
        assert_eq!(
            Memory::parse(status),
            Some(Memory {
                resident: 4_194_304,
                peak: 5_242_880
            })
        );
        assert_eq!(Memory::parse("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn a_program_that_ends_is_no_server() {
        let error = Server::start(Path::new("/bin/false"), |_| Vec::new())
            .err()
            .expect("it ends at once");
        assert!(error.to_string().contains("instead of answering"), "{error}");
    }
}
