//! Container images as files: what they claim, what is in them, and the lock of a release. Shared by `bifora` and
//! `cargo xtask`, and so it depends on little.
//!
//! - [`digest`] is what everything here is named by.
//! - [`lock`] is what a pipeline keeps of a release: [`ReleaseLock`](lock::ReleaseLock).

pub mod digest;
pub mod lock;
