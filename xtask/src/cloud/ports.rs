//! Who has a TCP port, read from `/proc`.

use std::fs;

use anyhow::{Result, bail};

/// Fails unless the port is free on loopback, naming the program that has it.
pub(crate) fn require_free(port: u16, option: &str) -> Result<()> {
    let Some(inode) = listener(port) else {
        return Ok(());
    };
    let holder = holder(&inode).unwrap_or_else(|| "a process that cannot be seen from here".to_owned());
    bail!("port {port} is taken by {holder}; choose another with {option} PORT")
}

/// The inode of a socket that listens on `port` on loopback or on every address.
fn listener(port: u16) -> Option<String> {
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let text = fs::read_to_string(table).ok()?;
        text.lines().skip(1).find_map(|line| listening_inode(line, port))
    })
}

/// The inode in a line of `/proc/net/tcp` if it is a listener on `port` that would be in our way.
fn listening_inode(line: &str, port: u16) -> Option<String> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (address, local_port) = fields.get(1)?.rsplit_once(':')?;
    let listens = *fields.get(3)? == "0A";
    let everywhere = address.chars().all(|digit| digit == '0');
    // 127.0.0.1 and ::1, in the byte order of this machine, which is little-endian on both architectures.
    let loopback = ["0100007F", "00000000000000000000000001000000"].contains(&address);
    (listens && (everywhere || loopback) && u16::from_str_radix(local_port, 16) == Ok(port))
        .then(|| fields.get(9).map(|&inode| inode.to_owned()))?
}

/// `nginx (process 123)`.
fn holder(inode: &str) -> Option<String> {
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        // `self` is there under its number, too.
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let has_it = fs::read_dir(process.path().join("fd"))
            .ok()?
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket.as_str()));
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        has_it.then(|| format!("{} (process {pid})", name.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let error = require_free(port, "--http-port").expect_err("taken").to_string();
        assert!(
            error.contains(&format!("process {}", std::process::id())),
            "{error}"
        );
        assert!(error.contains("--http-port PORT"), "{error}");
        drop(listener);
        require_free(port, "--http-port").expect("free again");
    }

    #[test]
    fn only_listeners_on_loopback_or_everywhere_are_in_the_way() {
        let line = |address: &str, state: &str| {
            format!(
                "  0: {address}:0050 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 4242 1"
            )
        };
        assert_eq!(
            listening_inode(&line("00000000", "0A"), 80).as_deref(),
            Some("4242")
        );
        assert_eq!(
            listening_inode(&line("0100007F", "0A"), 80).as_deref(),
            Some("4242")
        );
        assert_eq!(listening_inode(&line("0100007F", "01"), 80), None, "a connection");
        assert_eq!(
            listening_inode(&line("0101A8C0", "0A"), 80),
            None,
            "another address"
        );
        assert_eq!(listening_inode(&line("00000000", "0A"), 81), None, "another port");
    }
}
