//! `bifora verify` against real fleets: the release binaries of both architectures, native and emulated, behind a real load
//! balancer; and everything that can be wrong with them, one thing at a time.
//!
//! `cargo xtask test verify` sets `BIFORA_BIN_X86_64`, `BIFORA_BIN_AARCH64` and, for the foreign one, `BIFORA_RUNNER_…`.

mod broken;
mod foreign;
mod gate;
mod proven;
mod reports;
mod support;
mod transport;
