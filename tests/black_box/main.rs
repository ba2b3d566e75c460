//! Black-box tests: the real binary on a free port, asked over TCP.
//!
//! The same tests run against every architecture. The contract with whoever starts them, by environment variables:
//! `BIFORA_BIN` is the binary (default: the one that cargo has built for these tests), `BIFORA_RUNNER` an emulator to
//! run it with, `BIFORA_ARCH` the architecture that it must report (default: this machine's), and `BIFORA_EMULATED=1`
//! says that the runner is qemu-user, which the binary must notice.

mod answers;
mod api;
mod assets;
mod attest;
mod command_line;
mod environment;
mod errors;
mod exhaustion;
mod inspect_image;
mod lifecycle;
mod limits;
mod log;
mod metadata;
mod metrics;
mod parity;
mod request_id;
mod robustness;
mod settings;
mod support;
mod timeouts;
