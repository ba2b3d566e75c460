//! `cargo xtask rehearse`: reads a pipeline's files and runs them on this machine, against the local cloud; as they are, and with
//! one thing going wrong at a time.

mod circleci;
mod codepipeline;
mod ecs;
mod fault;
mod host;
mod kind;
mod report;
mod situation;
mod source;
mod stand_ins;
mod tamper;
mod turns;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};

use crate::arch::Arch;
use crate::cloud::{self, Session, Visitors};
use crate::requirement::Requirement;
use crate::setup::{self, Consent};
use crate::terminal;
use crate::workspace::Workspace;

use fault::Fault;
use host::Host;
use kind::Part;
use report::{Ended, Report};
use situation::Situation;
use source::{Repository, Source};
use turns::Turns;

pub(crate) use kind::Kind;

/// Run a pipeline on this machine, from its own files, until it has deployed itself to the local cloud
///
/// The local cloud starts with what is checked out; the pipeline is run for a commit with a change. Visitors come all the while.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pipeline: Pipeline,
}

#[derive(Subcommand)]
enum Pipeline {
    /// `.circleci/config.yml`
    Circleci(Options),
    /// `infra/cloudformation/codepipeline.yml`, with `buildspec.yml` and `buildspec_manifest.yml`
    Codepipeline(Options),
}

#[derive(Args)]
struct Options {
    /// Have this go wrong, and check that what comes of it is right; may be given several times
    #[arg(long, value_name = "NAME")]
    fault: Vec<Fault>,
    /// A good run, and each fault
    #[arg(long, conflicts_with = "fault")]
    every_fault: bool,
    #[command(flatten)]
    consent: Consent,
}

/// The local cloud, and what the scripts of the pipelines need.
pub(crate) const REQUIREMENTS: [Requirement; 14] = {
    let [a, b, c, d, e, f, g, h, i, j, k] = cloud::REQUIREMENTS;
    [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        j,
        k,
        Requirement::Curl,
        Requirement::Jq,
        Requirement::Openssl,
    ]
};

/// How many steps in a hundred have to run as they are written, for a rehearsal to say something.
const LEAST_AS_WRITTEN: usize = 80;

/// The command.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let (kind, options) = match &arguments.pipeline {
        Pipeline::Circleci(options) => (Kind::Circleci, options),
        Pipeline::Codepipeline(options) => (Kind::Codepipeline, options),
    };
    setup::ensure(workspace, REQUIREMENTS, options.consent)?;
    if options.every_fault {
        return with_every_fault(workspace, kind);
    }
    rehearse(workspace, kind, &options.fault)
}

/// A good run, and each fault, in one local cloud.
pub(crate) fn with_every_fault(workspace: &Workspace, kind: Kind) -> Result<()> {
    rehearse(workspace, kind, Fault::value_variants())
}

/// What the runs of one pipeline share.
struct Rehearsal<'a> {
    kind: Kind,
    workspace: &'a Workspace,
    session: &'a Session,
    repository: &'a Repository,
    folder: &'a Path,
    turns: Turns,
    /// The commits whose images were published, and by which runs.
    published: Mutex<Vec<(String, u32)>>,
}

/// One run of a pipeline.
struct Run<'a> {
    rehearsal: &'a Rehearsal<'a>,
    source: &'a Source,
    /// Its own files: places of jobs, artefacts, logs.
    folder: PathBuf,
    number: u32,
    fault: Option<Fault>,
    /// The folder of the last run that deployed, to which a pipeline may go back.
    last_good: Option<&'a Path>,
}

/// Starts the local cloud with what is checked out, and has a pipeline deploy a commit with a change there; or not, with a fault.
fn rehearse(workspace: &Workspace, kind: Kind, faults: &[Fault]) -> Result<()> {
    let session = Session::start(workspace)?;
    let folder = Folder::create(workspace)?;
    let repository = Repository::copy(workspace, folder.0.join("repository"))?;
    kind.prepare(workspace, &session)?;
    let rehearsal = Rehearsal {
        kind,
        workspace,
        session: &session,
        repository: &repository,
        folder: &folder.0,
        turns: Turns::default(),
        published: Mutex::default(),
    };
    let mut ends = Vec::new();
    let mut last_good = None;
    let mut number = 0;
    for scenario in scenarios(faults) {
        let name = scenario.map_or_else(|| "a good run".to_owned(), |fault| fault.to_string());
        println!("{}", terminal::bold(&format!("━━━━ {name}")));
        let start = Instant::now();
        number += 1;
        let done = rehearsal
            .scenario(scenario, &mut number, last_good.as_deref())
            .with_context(|| format!("{name} (the logs are in {})", folder.0.display()))?;
        last_good = done.deployed.or(last_good);
        let end = format!(
            "{}: {}; {} requests of visitors, 0 failed; {}",
            terminal::green(&name),
            done.what,
            done.requests,
            terminal::duration(start.elapsed())
        );
        println!("{end}");
        ends.push(end);
    }
    println!("{}", terminal::bold("━━ what came of it"));
    for end in ends {
        println!("  {end}");
    }
    Ok(())
}

/// What is run for these faults: those that presuppose a good run come after one; without any fault, that alone.
fn scenarios(faults: &[Fault]) -> Vec<Option<Fault>> {
    let mut faults = faults.to_vec();
    faults.sort_unstable();
    faults.dedup();
    let good = faults
        .iter()
        .position(|fault| fault.follows_a_good_run())
        .or(faults.is_empty().then_some(0));
    let mut scenarios: Vec<_> = faults.into_iter().map(Some).collect();
    if let Some(good) = good {
        scenarios.insert(good, None);
    }
    scenarios
}

/// What came of a scenario, which was right.
struct Done {
    what: String,
    requests: usize,
    /// The folder of the run that deployed.
    deployed: Option<PathBuf>,
}

impl Rehearsal<'_> {
    fn scenario(&self, fault: Option<Fault>, number: &mut u32, last_good: Option<&Path>) -> Result<Done> {
        let changes = fault.map_or_else(fault::a_change, Fault::changes);
        let name = fault.map_or_else(|| fault::A_CHANGE.to_owned(), Fault::commit_name);
        let mut sources = vec![self.repository.push(&name, &changes)?];
        if fault == Some(Fault::TwoRuns) {
            sources.push(
                self.repository
                    .push(fault::A_LATER_CHANGE, &fault::a_later_change())?,
            );
        }
        let first = *number;
        let runs: Vec<_> = (first..)
            .zip(&sources)
            .map(|(number, source)| Run {
                rehearsal: self,
                source,
                folder: self.folder.join(format!("{number}-{name}")),
                number,
                fault,
                last_good,
            })
            .collect();
        *number = runs.last().map_or(first, |run| run.number);

        for source in &sources {
            self.compile_ahead(source)?;
        }
        let before = Situation::look(self)?;
        let visitors = Visitors::start(self.session)?;
        let reports = run_all(&runs);
        self.session.accept_pushes()?;
        let visitors = visitors.finish()?;
        let reports = reports?;
        // A fault has its pipelines' stand-ins, but nothing new to say of them.
        for report in &reports {
            report.print(fault.is_none());
        }

        let kind = self.kind;
        for report in &reports {
            ensure!(
                fault.is_some() || report.share_as_written() >= LEAST_AS_WRITTEN,
                "fewer than {LEAST_AS_WRITTEN} % of the steps ran as they are written"
            );
        }
        let outcome = fault.map_or_else(fault::Outcome::good, |fault| fault.outcome(kind));
        for report in &reports {
            outcome.check(kind, report)?;
        }
        if outcome.publishes == fault::Publishes::Everything {
            let published = runs.iter().map(|run| (run.source.commit.clone(), run.number));
            self.published
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(published);
        }
        let last = runs.last().context("nothing has run")?;
        if let [one, other] = reports.as_slice() {
            kind.one_after_the_other(one, other)?;
        }
        if fault.is_some_and(Fault::hides_roll_backs) {
            tamper::wait_until_settled(self)?;
        }
        Situation::look(self)?.check(&before, kind, last.source, &outcome)?;
        ensure!(
            visitors.failed == 0,
            "{} of {} requests of visitors failed",
            visitors.failed,
            visitors.requests
        );
        let what = if outcome.fails.is_empty() {
            let link = self.deployed_run(last)?;
            format!("both architectures answer with the new commit, and build info links to {link}")
        } else {
            let failed = reports[0].failed().join(", ");
            let old = if outcome.deploys.is_empty() {
                ", and the old commit answers"
            } else {
                ""
            };
            format!("{failed} failed; nothing was half published{old}")
        };
        Ok(Done {
            what,
            requests: visitors.requests,
            deployed: outcome.fails.is_empty().then(|| last.folder.clone()),
        })
    }

    /// Fills the build cache with what a commit compiles to, for both architectures at once, which take turns in the run itself.
    /// What does not compile fails there.
    fn compile_ahead(&self, source: &Source) -> Result<()> {
        let folder = self.folder.join("ahead").join(&source.commit);
        if folder.exists() {
            return Ok(());
        }
        println!("  (the build cache is filled with {})", &source.commit[..7]);
        let checkout = folder.join("checkout");
        fs::create_dir_all(&checkout).context("cannot create a folder to build in")?;
        source.check_out(&checkout)?;
        let script = "for arch in amd64 arm64; do ci/build-image.sh $arch bifora:ahead-$arch & done; wait";
        let branch = [("CIRCLE_BRANCH".to_owned(), "main".to_owned())].into();
        Host::new(self.workspace, self.session, &folder)?
            .run(&["bash", "-c"], script, &checkout, &branch, &folder.join("log"))
            .map(drop)
    }

    /// The links to the run that built what is deployed, which the pages of both architectures have. Where tags cannot be pushed
    /// again, the images of a commit stay those of its first run.
    fn deployed_run(&self, run: &Run) -> Result<String> {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let first = published.iter().find(|(commit, _)| *commit == run.source.commit);
        let number = match first {
            Some((_, first)) if !self.kind.registry().overwrites => *first,
            _ => run.number,
        };
        let mut links = Vec::new();
        for arch in Arch::ALL {
            let text = self.session.ask("/api/build", arch)?.to_string();
            let link = text
                .split('"')
                .find(|part| self.kind.is_of_the_run(part, number))
                .with_context(|| format!("{} does not link to the run: {text}", arch.name()))?;
            links.push(link.to_owned());
        }
        Ok(links.join(" and "))
    }
}

/// An id of the form that both pipelines use, of the run with this number alone.
fn id(number: u32, what: u8) -> String {
    format!("0b1f02a0-0000-4000-8000-{number:010x}{what:02x}")
}

/// Has them run at the same time, and returns what was noted of each.
fn run_all(runs: &[Run]) -> Result<Vec<Report>> {
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for run in runs {
            let turns = &run.rehearsal.turns;
            let taken = turns.taken();
            let thread = scope.spawn(move || run.rehearsal.kind.run(run));
            // The one that is pushed first begins first.
            while turns.taken() == taken && !thread.is_finished() {
                thread::sleep(Duration::from_millis(10));
            }
            threads.push(thread);
        }
        let joined = threads.into_iter().map(|thread| {
            let result = thread.join();
            result.map_err(|_| anyhow!("a rehearsal has panicked"))?
        });
        joined.collect()
    })
}

impl Run<'_> {
    /// An id of the form that both pipelines use, of this run alone.
    fn id(&self, what: u8) -> String {
        id(self.number, what)
    }

    /// What is done to the world before a job or an action.
    fn before(&self, name: &str) -> Result<()> {
        let Some(fault) = self.fault else {
            return Ok(());
        };
        let kind = self.rehearsal.kind;
        Part::all()
            .filter(|part| kind.name_of(*part) == name)
            .try_for_each(|part| fault.before(part, self))
    }

    /// Says whose turn it is, and of which run if there are two.
    fn announce(&self, name: &str) {
        let of = match self.fault {
            Some(Fault::TwoRuns) => format!(" (run {})", self.number),
            _ => String::new(),
        };
        println!("{}", terminal::bold(&format!("━━ {name}{of}")));
    }
}

impl fault::Outcome {
    fn check(&self, kind: Kind, report: &Report) -> Result<()> {
        let mut right: Vec<_> = self.fails.iter().map(|part| kind.name_of(*part)).collect();
        right.sort_unstable();
        let mut failed = report.failed();
        failed.sort_unstable();
        ensure!(
            failed == right,
            "failed are {failed:?}, and it has to be {right:?}"
        );
        for name in failed {
            if let Some(Ended::Failed(reason)) = report.ended(name) {
                for part in self.says {
                    ensure!(
                        reason.contains(part),
                        "{name} has to fail with `{part}`, and failed with {reason}"
                    );
                }
            }
        }
        Ok(())
    }
}

/// A folder for one rehearsal. It stays until the next one, to be looked at.
struct Folder(PathBuf);

impl Folder {
    fn create(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.target.join("rehearsal");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                bail!(
                    "cannot remove what the last rehearsal has left in {}: {error}",
                    folder.display()
                )
            }
            _ => {
                fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
            }
        }
        Ok(Self(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_run_comes_before_what_presupposes_one() {
        assert_eq!(scenarios(&[]), [None]);
        assert_eq!(scenarios(&[Fault::TestsFail]), [Some(Fault::TestsFail)]);
        assert_eq!(
            scenarios(&[Fault::SameCommit, Fault::TestsFail]),
            [Some(Fault::TestsFail), None, Some(Fault::SameCommit)]
        );
    }
}
