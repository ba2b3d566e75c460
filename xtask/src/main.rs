//! `cargo xtask`: everything a developer of Bifora does more often than once, in one program that only needs Rust.
//! This file owns the command line and the exit codes; each command has a module of its own.

#![allow(
    clippy::print_stdout,
    reason = "a tool for a person at a terminal: printing is what it does"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "clippy.toml guards the server's settings and its runtime; this program is neither"
)]

mod arch;
mod bench;
mod build;
mod cloud;
mod command;
mod docker;
mod elf;
mod image;
mod interrupt;
mod pipeline;
mod python;
mod rehearse;
mod requirement;
mod setup;
mod system;
mod terminal;
mod test;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Automation for developers of Bifora. Every command first checks what it needs and offers to install it.
///
/// Exit codes: 0 done, 1 something failed, 2 something is missing or the command line is wrong, 128 + n ended by signal n.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Setup(setup::Arguments),
    Build(build::Arguments),
    Image(image::Arguments),
    Cloud(cloud::Arguments),
    Rehearse(rehearse::Arguments),
    Test(test::Arguments),
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = interrupt::install()
        .and_then(|()| Workspace::find())
        .and_then(|workspace| match cli.command {
            Command::Setup(arguments) => setup::run(&workspace, &arguments),
            Command::Build(arguments) => build::run(&workspace, &arguments),
            Command::Image(arguments) => image::run(&workspace, &arguments),
            Command::Cloud(arguments) => cloud::run(&workspace, &arguments),
            Command::Rehearse(arguments) => rehearse::run(&workspace, &arguments),
            Command::Test(arguments) => test::run(&workspace, &arguments),
            Command::Bench(arguments) => bench::run(&workspace, &arguments),
        });
    interrupt::hold_if_pending();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is::<test::StepsFailed>() {
                eprintln!("{} {error:#}", terminal::stderr_red("error:"));
            }
            if error.is::<setup::NotReady>() {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Workspace};

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_that_the_documents_name_is_one() {
        let root = Workspace::find().expect("tests run in the repository").root;
        let mut documents = vec![root.join("README.md"), root.join("infra/README.md")];
        let entries = std::fs::read_dir(root.join("docs")).expect("docs/");
        documents.extend(
            entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.is_file()),
        );
        let mut count = 0;
        for document in documents {
            let text = std::fs::read_to_string(&document).expect("readable");
            // In a block: up to the comment. In a sentence: up to the backtick.
            let named = text.split("cargo xtask ").skip(1).map(|rest| {
                rest.split(['\n', '#', '`', ')', '"'])
                    .next()
                    .unwrap_or_default()
                    .trim()
            });
            for command in named.filter(|command| command.starts_with(char::is_alphabetic)) {
                count += 1;
                let words = ["cargo xtask"].into_iter().chain(command.split_whitespace());
                if let Err(error) = Cli::try_parse_from(words) {
                    // A sentence may name a command without what it needs.
                    let incomplete =
                        error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
                    assert!(
                        incomplete,
                        "{}: cargo xtask {command}: {error}",
                        document.display()
                    );
                }
            }
        }
        assert!(count > 20, "found only {count}");
    }
}
