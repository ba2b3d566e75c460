//! The command line, declared; and its errors in one line each.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::build_info::BuildInfo;
use crate::commands::verify;
use crate::settings::{Listen, Settings};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "bifora",
    about = "Says which architecture answered, x86_64 or aarch64, and which build it is",
    long_about = LONG_ABOUT,
    override_usage = "bifora [COMMAND] [OPTIONS]",
    subcommand_required = true,
    after_help = EXAMPLES
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const LONG_ABOUT: &str = "Says which architecture answered, x86_64 or aarch64, and which build it is.

Without a command it serves: open http://localhost:8080. Every setting of the server is a flag
and an environment variable; `bifora serve --help` lists them.";

const EXAMPLES: &str = "Examples:
  bifora                    serve on port 8080
  PORT=9000 bifora          serve on port 9000
  bifora --log-level debug  serve, and log every request
  bifora info               show what is known about this build and this machine
  bifora healthcheck        check the server on this machine
  bifora inspect-image FILE check that a saved image is for the architecture it says
  bifora verify URL --commit COMMIT   prove that both architectures run this commit

Exit codes: 0 success, 1 failure, 2 bad usage, 3 not decided in time (verify), 130 ended by a
second signal.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the pages until SIGTERM or SIGINT
    Serve(Settings),
    /// Check the server's /healthz: exit code 0 if healthy, 1 if not, within 2 seconds
    Healthcheck(Listen),
    /// Show what is known about this build and this machine
    Info {
        /// As JSON: the answers of /api/build and /api/info
        #[arg(long)]
        json: bool,
    },
    /// Check that an image is for the architecture it says: index, configuration and every ELF file
    InspectImage(InspectImage),
    /// Prove that what answers at an address is what was built, on every architecture: for pipelines
    #[command(long_about = verify::LONG_ABOUT)]
    Verify(Box<verify::Arguments>),
    /// Print completions for a shell, to be sourced or saved where the shell looks for them
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What `bifora inspect-image` is told.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Exit codes: 0 all agree, 1 somebody lies and is named, 2 bad usage or no image that can be read."
)]
pub struct InspectImage {
    /// A folder in OCI's image layout, or a tar file of it or of `docker save`
    #[arg(value_name = "DIR|FILE")]
    pub image: PathBuf,

    /// How the report looks
    #[arg(long, default_value = "text")]
    pub format: ReportFormat,

    /// A file or folder of the image that may hold programs for other machines, as data; can be given more than once
    #[arg(long, value_name = "PATH")]
    pub except: Vec<String>,
}

/// How a report looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The command line as clap's builder sees it.
pub fn definition() -> clap::Command {
    Cli::command().version(BuildInfo::of_this_binary().one_line())
}

/// Reads the process's arguments.
pub fn parse() -> Result<Cli, clap::Error> {
    parse_from(std::env::args_os().collect())
}

fn parse_from(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let matches = definition().try_get_matches_from(or_serve(arguments))?;
    Cli::from_arg_matches(&matches)
}

/// No command is `serve`; so is a first argument that is one of its flags.
fn or_serve(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let own = |flag: &OsString| ["-h", "--help", "-V", "--version"].iter().any(|own| flag == own);
    let serve = match arguments.get(1) {
        None => true,
        Some(first) => first.to_string_lossy().starts_with('-') && !own(first),
    };
    if serve {
        arguments.insert(arguments.len().min(1), "serve".into());
    }
    arguments
}

/// One line for a bad value: the setting, the value and what is allowed. `None` for other errors and for help, which
/// clap words well.
pub fn bad_value(error: &clap::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {}
        ErrorKind::InvalidUtf8 => return not_text(),
        _ => return None,
    }
    let text = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        _ => None,
    };
    let flag = text(ContextKind::InvalidArg)?;
    let name = flag.split_whitespace().next()?.trim_start_matches('-').to_owned();
    let variable = settings()
        .into_iter()
        .find(|(flag, _)| *flag == name)
        .map(|(_, variable)| variable);
    let setting = match variable {
        Some(variable) => format!("--{name} ({variable})"),
        None => flag,
    };
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    if value.is_empty() && error.kind() == ErrorKind::InvalidValue {
        return Some(format!("{setting}: a value is missing"));
    }
    let shown: String = value.chars().take(100).collect();
    let allowed = text(ContextKind::ValidValue)
        .map(|values| format!("one of {values}"))
        .or_else(|| std::error::Error::source(error).map(ToString::to_string))?;
    Some(format!("{setting}: {shown:?} is not allowed; expected {allowed}"))
}

/// The settings: flag and variable.
fn settings() -> Vec<(String, String)> {
    let command = Cli::command();
    let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let setting = |argument: &clap::Arg| {
        Some((
            argument.get_long()?.to_owned(),
            argument.get_env()?.to_string_lossy().into_owned(),
        ))
    };
    arguments.filter_map(setting).collect()
}

/// The line for a value that is not UTF-8, of which clap does not say where it stands.
fn not_text() -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the variable is declared, and clap has just read it"
    )]
    let not_utf8 = |variable: &str| std::env::var_os(variable).filter(|value| value.to_str().is_none());
    let by_variable = settings().into_iter().find_map(|(flag, variable)| {
        let value = not_utf8(&variable)?;
        Some((format!("--{flag} ({variable})"), value))
    });
    let by_argument = || {
        let value = std::env::args_os().find(|argument| argument.to_str().is_none())?;
        Some(("an argument".to_owned(), value))
    };
    let (setting, value) = by_argument().or(by_variable)?;
    let shown: String = value.to_string_lossy().chars().take(100).collect();
    Some(format!(
        "{setting}: {shown:?} is not allowed; expected text in UTF-8"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Cli, clap::Error> {
        parse_from(["bifora"].iter().chain(arguments).map(OsString::from).collect())
    }

    #[test]
    fn definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn bad_values_are_one_line() {
        for (arguments, line) in [
            (
                &["--port", "70000"][..],
                "--port (PORT): \"70000\" is not allowed; expected a whole number from 0 to 65535",
            ),
            (
                &["serve", "--request-timeout", "0s"],
                "--request-timeout (BIFORA_REQUEST_TIMEOUT): \"0s\" is not allowed; expected a time from 1ms to 1h, such as 500ms, 30s or 2m",
            ),
            (
                &["--log-level", "loud"],
                "--log-level (BIFORA_LOG_LEVEL): \"loud\" is not allowed; expected one of off, error, warn, info, debug",
            ),
            (
                &["--host", "example.com"],
                "--host (HOST): \"example.com\" is not allowed; expected an IP address such as 0.0.0.0, 127.0.0.1 or ::",
            ),
            (
                &["--body-limit", "0"],
                "--body-limit (BIFORA_BODY_LIMIT): \"0\" is not allowed; expected a whole number from 1 to 104857600",
            ),
        ] {
            let said = bad_value(&parsed(arguments).expect_err("a bad value")).unwrap_or_default();
            assert_eq!(said, line, "{arguments:?}");
        }
    }

    #[test]
    fn a_missing_value_is_said_to_be_missing() {
        let error = parsed(&["--port"]).expect_err("no value");
        assert_eq!(
            bad_value(&error).as_deref(),
            Some("--port (PORT): a value is missing")
        );
    }

    #[test]
    fn no_command_is_serve() {
        for arguments in [&[][..], &["--port", "8080"], &["serve"]] {
            let cli = parsed(arguments).expect("parses");
            assert!(
                matches!(cli.command, Command::Serve(settings) if settings.listen.port == 8080),
                "{arguments:?}"
            );
        }
        assert_eq!(
            parsed(&["--version"]).expect_err("tells").kind(),
            ErrorKind::DisplayVersion
        );
        assert_eq!(
            parsed(&["sing"]).expect_err("unknown").kind(),
            ErrorKind::InvalidSubcommand
        );
    }
}
