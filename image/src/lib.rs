//! Container images as files: what they claim, what is in them, and the lock of a release. Shared by `bifora` and
//! `cargo xtask`, and so it depends on little.
//!
//! - [`digest`] is what everything here is named by, [`elf`] what a program says of its machine, [`platform`] what an
//!   image says of its.
//! - [`archive`] reads an image of whatever layout: `store` finds its files in a folder or a tar file, `layout` what they
//!   claim, `layer` goes through the layers with `entries`, and `tree` keeps what is visible in the end.
//! - [`inspect`] is the judgement: whether index, configuration and programs agree.
//! - [`lock`] is what a pipeline keeps of a release: [`ReleaseLock`](lock::ReleaseLock).
//!
//! Whatever is read may have been made to harm: nothing is unpacked, no blob is believed before its digest was checked,
//! and memory and time have bounds ([`limits`]).

pub mod archive;
pub mod digest;
#[cfg(any(test, feature = "draft"))]
pub mod draft;
pub mod elf;
mod entries;
pub mod error;
pub mod inspect;
mod layer;
mod layout;
pub mod limits;
pub mod lock;
pub mod platform;
mod store;
mod text;
mod tree;
