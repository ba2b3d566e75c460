//! What the command line's commands do, one file each.

pub mod healthcheck;
pub mod info;
pub mod inspect_image;
pub mod serve;
pub mod verify;
