//! The service in the local cloud: the real image in real containers of both architectures, behind the load balancer,
//! from the template of the account. `cargo xtask test cloud` starts it and tells these tests where it is.
//!
//! They share one cloud, and so they run one after the other, in the order of their names.

mod image;
mod rollout;
mod service;
mod support;
