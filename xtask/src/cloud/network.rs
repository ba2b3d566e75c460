//! The network of the containers: a bridge of their own, its way out, and the emulator of the foreign architecture.
//!
//! The engine is told to leave the firewall alone, because what it writes there stays when it ends; these few rules are
//! removed again.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::arch::Arch;
use crate::command::{self, command, read, succeeds};

/// The bridge.
pub(crate) const BRIDGE: &str = "bifora0";
/// The address of this machine on it.
pub(crate) const ADDRESS: &str = "10.213.77.1";
const SUBNET: &str = "10.213.77.0/24";
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// Makes the bridge and the rules. `https_port` is where the registry listens instead of on 443.
pub(crate) fn up(https_port: u16, forwarding_before: &Path) -> Result<()> {
    if !succeeds(command("ip").args(["link", "show", BRIDGE])) {
        let routes = read(command("ip").args(["-4", "route", "show", "root", SUBNET]))?;
        if let Some(route) = routes.lines().next() {
            bail!(
                "the addresses {SUBNET} are wanted for containers, and in use here: {}",
                route.trim()
            );
        }
        for words in [
            format!("link add {BRIDGE} type bridge"),
            format!("addr add {ADDRESS}/24 dev {BRIDGE}"),
            format!("link set {BRIDGE} up"),
        ] {
            read(command("ip").args(words.split(' ')))?;
        }
    }
    let forwarding = fs::read_to_string(FORWARDING).context("cannot ask whether packets are forwarded")?;
    if forwarding.trim() == "0" {
        fs::write(forwarding_before, "0")?;
        fs::write(FORWARDING, "1").context("cannot let packets of containers be forwarded")?;
    }
    for rule in rules(https_port) {
        if !succeeds(&mut iptables(&rule, "-C")) {
            read(&mut iptables(&rule, "-I"))?;
        }
    }
    Ok(())
}

/// Removes what [`up`] made. What is gone already is no error.
pub(crate) fn down(https_port: u16, forwarding_before: &Path) {
    for rule in rules(https_port) {
        while succeeds(&mut iptables(&rule, "-D")) {}
    }
    succeeds(command("ip").args(["link", "del", BRIDGE]));
    if let Ok(before) = fs::read_to_string(forwarding_before) {
        fs::write(FORWARDING, before).ok();
        fs::remove_file(forwarding_before).ok();
    }
}

/// Table, chain and rule.
struct Rule(&'static str, &'static str, String);

fn rules(https_port: u16) -> Vec<Rule> {
    let mut rules = vec![
        Rule(
            "nat",
            "POSTROUTING",
            format!("-s {SUBNET} ! -o {BRIDGE} -j MASQUERADE"),
        ),
        Rule("filter", "FORWARD", format!("-i {BRIDGE} -j ACCEPT")),
        Rule(
            "filter",
            "FORWARD",
            format!("-o {BRIDGE} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
        ),
    ];
    if https_port != 443 {
        // Clients of registries go to 443, and the names of the registries lead to this address.
        rules.push(Rule(
            "nat",
            "OUTPUT",
            format!("-d {ADDRESS} -p tcp --dport 443 -j REDIRECT --to-ports {https_port}"),
        ));
    }
    rules
}

fn iptables(Rule(table, chain, rule): &Rule, action: &str) -> Command {
    let mut iptables = command("iptables");
    iptables
        .args(["--wait", "10", "-t", table, action, chain])
        .args(rule.split(' '));
    iptables
}

/// Lets the kernel start programs of the foreign architecture by its emulator, also inside of containers.
pub(crate) fn register_emulator() -> Result<()> {
    const FOLDER: &str = "/proc/sys/fs/binfmt_misc";
    let name = format!("qemu-{}", Arch::foreign()?.name());
    if !Path::new(FOLDER).join("register").exists() {
        command::read(command("mount").args(["-t", "binfmt_misc", "binfmt_misc", FOLDER]))?;
    }
    let entry = Path::new(FOLDER).join(&name);
    if !entry.exists() {
        command::read(command("update-binfmts").args(["--enable", &name]))?;
    }
    let text = fs::read_to_string(&entry).with_context(|| format!("{name} is not registered"))?;
    let flags = text
        .lines()
        .find_map(|line| line.strip_prefix("flags: "))
        .unwrap_or_default();
    if !text.starts_with("enabled") || !flags.contains('F') {
        bail!(
            "{} is {}, and containers need it enabled with the flag F; `update-binfmts --enable {name}` does that with \
             Debian's qemu-user-static",
            entry.display(),
            text.lines().take(3).collect::<Vec<_>>().join(", ")
        );
    }
    Ok(())
}
