//! `cargo xtask cloud logs`: what the tasks, or the parts of the local cloud, have written.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use super::Daemon;
use super::engine::Engine;
use super::place::Place;
use super::state::State;
use crate::command::{self, read};
use crate::terminal;

/// Show what the tasks have logged, or a part of the local cloud
#[derive(Args)]
pub(super) struct Arguments {
    /// Whose log
    #[arg(value_enum, default_value_t = Part::Tasks)]
    part: Part,
    /// Stay, and show what is added
    #[arg(short, long)]
    follow: bool,
    /// How many lines of each task
    #[arg(long, value_name = "LINES", default_value_t = 50)]
    tail: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The tasks of both services, each line with the name of its task
    Tasks,
    /// The container engine
    Engine,
    /// The local AWS with its load balancer
    Aws,
}

/// The containers that are tasks.
const TASKS: &str = "label=com.amazonaws.ecs.task-arn";

/// The command.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let place = Place::find()?;
    State::require(&place)?;
    let name = match arguments.part {
        Part::Tasks => return tasks(&Engine::of(&place), arguments),
        Part::Engine => "engine",
        Part::Aws => "aws",
    };
    let daemon = Daemon::of(&place, name);
    if arguments.follow {
        return command::run(
            command::command("tail")
                .args(["-n", &arguments.tail.to_string(), "-F"])
                .arg(daemon.log()),
        );
    }
    let text = fs::read_to_string(daemon.log())
        .with_context(|| format!("cannot read {}", daemon.log().display()))?;
    print!("{text}");
    Ok(())
}

fn tasks(engine: &Engine, arguments: &Arguments) -> Result<()> {
    let mut known = HashSet::new();
    loop {
        // The oldest first, so that a rollout reads from top to bottom.
        let name = [
            r#"{{.Label "com.amazonaws.ecs.task-definition-family"}}"#,
            r#"{{.Label "com.amazonaws.ecs.task-arn"}}"#,
        ];
        let format = format!("{{{{.ID}}}} {}", name.join(" "));
        let list = [
            "ps",
            "--all",
            "--no-trunc",
            "--filter",
            TASKS,
            "--format",
            &format,
        ];
        let containers = read(engine.docker().args(list))?;
        for line in containers.lines().rev() {
            let [id, family, task] = line.split(' ').collect::<Vec<_>>()[..] else {
                continue;
            };
            if !known.insert(id.to_owned()) {
                continue;
            }
            let mut logs = engine.docker();
            logs.args(["logs", "--tail", &arguments.tail.to_string()]);
            if arguments.follow {
                logs.arg("--follow");
            }
            // Both streams in one, as they were written.
            let mut shell = command::command("sh");
            shell
                .args(["-c", r#"exec "$0" "$@" 2>&1"#])
                .arg(logs.get_program())
                .args(logs.get_args())
                .arg(id)
                .envs(engine.environment())
                .stdout(Stdio::piped());
            let mut child = command::start(&mut shell)?;
            let output = child.stdout.take().context("the log is not connected")?;
            let task: String = task
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .chars()
                .take(8)
                .collect();
            let name = terminal::dim(&format!("{family}/{task}"));
            let print = move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    println!("{name} {line}");
                }
                child.wait().ok();
            };
            if arguments.follow {
                thread::spawn(print);
            } else {
                print();
            }
        }
        if !arguments.follow {
            return Ok(());
        }
        thread::sleep(Duration::from_secs(1));
    }
}
