//! What the command line's commands do, one file each.

pub mod healthcheck;
pub mod info;
pub mod serve;
