//! Bifora: a window with two arches. A web app that says which architecture answered, and which build it is.
//!
//! A tour, in the direction of dependencies:
//!
//! - [`cli`] and [`settings`] declare the command line; [`commands`] carry it out; [`logging`] is set up by them.
//! - [`server`] accepts connections, bounds them in time and drains them; [`web`] holds the routes, one file each, and
//!   the policies that no answer can skip.
//! - The domain knows nothing of all that. [`facts`] gathers what this process knows of itself: [`build_info`] (the
//!   binary), [`circleci`] and [`codebuild`] (the run that built it), [`image`] and [`deployment`] (where it came from
//!   and where it runs; [`metadata`] asks ECS), [`host`] (the machine). [`whoami`], [`attest`] and [`build_report`] are the
//!   answers; [`parity`] is what must come out the same on both architectures, and what may not.
//! - Foreign input passes through [`environment`], [`text`], [`link`] and [`forge`]; people read it as the sections of [`report`].

pub mod arch;
pub mod attest;
pub mod build_info;
pub mod build_report;
pub mod circleci;
pub mod cli;
pub mod codebuild;
pub mod commands;
pub mod deployment;
pub mod environment;
pub mod facts;
pub mod forge;
pub mod host;
pub mod http_client;
pub mod image;
pub mod link;
pub mod logging;
pub mod metadata;
pub mod parity;
pub mod report;
pub mod server;
pub mod settings;
pub mod text;
pub mod verify;
pub mod web;
pub mod whoami;
