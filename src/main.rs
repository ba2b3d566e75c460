//! Parses, dispatches, returns an exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use bifora::cli::{self, Command};
use bifora::commands::{healthcheck, info, inspect_image, serve, verify};
use bifora::host::Started;
use bifora::logging;
use bifora::server::descriptors;
use bifora::settings::Settings;
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let started = Started::now();
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match cli.command {
        Command::Serve(settings) => serve(&settings, started),
        Command::Healthcheck(listen) => match small_runtime().block_on(healthcheck::run(listen)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Command::Info { json } => match small_runtime().block_on(info::run(json, started)) {
            Ok(text) => print(&text),
            Err(error) => fail(&error),
        },
        Command::InspectImage(arguments) => match inspect_image::run(&arguments) {
            Ok(inspected) => match written(&inspected.text) {
                Ok(()) if inspected.agrees => ExitCode::SUCCESS,
                Ok(()) => ExitCode::FAILURE,
                // 1 would say that the image lies.
                Err(error) => fail_with(&error, 2),
            },
            Err(error) => fail_with(&error, 2),
        },
        Command::Verify(arguments) => verify(*arguments),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut cli::definition(), "bifora", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

fn serve(settings: &Settings, started: Started) -> ExitCode {
    let _log = logging::start(settings.log_format, settings.log_level);
    // Before the runtime takes descriptors of its own.
    let connections = descriptors::connections(settings.connection_limit);
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let result = runtime.block_on(serve::run(settings, connections, started));
    // What is still being done was cut on purpose; nothing of it may hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(ending) => ending.exit_code(),
        Err(error) => fail(&error),
    }
}

fn verify(arguments: verify::Arguments) -> ExitCode {
    match small_runtime().block_on(verify::run(arguments)) {
        Ok(verify::Ending { text, code }) => match written(&text) {
            Ok(()) => ExitCode::from(code),
            // A proof that nobody was told is none; nor is it a disproof.
            Err(error) => fail_with(&error, if code == 0 { verify::USAGE } else { code }),
        },
        Err(error) => fail_with(&error, verify::USAGE),
    }
}

fn small_runtime() -> tokio::runtime::Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime without threads of its own can be started")
}

fn print(text: &str) -> ExitCode {
    match written(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// A reader that goes away early, as in `bifora info | head`, is no failure.
fn written(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    fail_with(error, 1)
}

fn fail_with(error: &dyn std::error::Error, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "bifora: {error}");
    ExitCode::from(code)
}

fn usage(error: &clap::Error) -> ExitCode {
    let _ = match cli::bad_value(error) {
        Some(line) => writeln!(io::stderr(), "bifora: {line}"),
        None => error.print(),
    };
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
