//! Hands on the services behind the pipeline's back: for what only the gate behind the deployment can notice.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::ecs::Service;
use super::{Rehearsal, Run};
use crate::arch::Arch;
use crate::cloud::SERVICE;

/// The file with the revision that a service ran before the deployment.
const BEFORE: &str = "revision-before";
/// A roll-back takes some failed tasks first.
const LIMIT: Duration = Duration::from_mins(5);

/// Notes what a service runs.
pub(super) fn remember(run: &Run, arch: Arch) -> Result<()> {
    of(run.rehearsal, arch, |service| {
        let revision = service.running()?;
        fs::write(run.folder.join(BEFORE), revision).context("cannot note what a service runs")
    })
}

/// Has a service run again what was noted.
pub(super) fn take_back(run: &Run, arch: Arch) -> Result<()> {
    let revision = fs::read_to_string(run.folder.join(BEFORE)).context("nothing was noted")?;
    println!(
        "  (somebody has the service of {} run {revision} again)",
        arch.name()
    );
    of(run.rehearsal, arch, |service| {
        service.update(&revision)?;
        service.wait(&revision, LIMIT)
    })
}

/// Has the service of one architecture run the other's program, the run's own, in an image that says otherwise.
pub(super) fn run_foreign_program(run: &Run, arch: Arch) -> Result<()> {
    // Where each pipeline keeps the program that proves the release.
    let program = ["workspace/published/bifora", "artefacts/BuildArtifact_app/bifora"]
        .map(|path| run.folder.join(path))
        .into_iter()
        .find(|path| path.is_file())
        .context("the run keeps no program")?;
    let folder = run.folder.join("foreign");
    fs::create_dir_all(&folder).context("cannot create a folder for an image")?;
    fs::copy(&program, folder.join("bifora")).context("cannot copy the program")?;
    fs::write(
        folder.join("Dockerfile"),
        "FROM scratch\nCOPY --chmod=755 bifora /bifora\nUSER 65532:65532\nENTRYPOINT [\"/bifora\"]\n",
    )
    .context("cannot write a Dockerfile")?;
    let image = run
        .rehearsal
        .session
        .push_image(&folder, arch, &format!("foreign-{}", run.number))?;
    println!("  (somebody has the service of {} run {image})", arch.name());
    of(run.rehearsal, arch, |service| {
        let revision = service.register(&service.running()?, &[(SERVICE.to_owned(), image)])?;
        service.update(&revision)?;
        service.wait(&revision, LIMIT)
    })
}

/// Waits until neither service changes any more.
pub(super) fn wait_until_settled(rehearsal: &Rehearsal) -> Result<()> {
    Arch::ALL
        .into_iter()
        .try_for_each(|arch| of(rehearsal, arch, |service| service.settle(LIMIT)))
}

/// Does something with the service of an architecture, with the keys of the account.
fn of<T>(rehearsal: &Rehearsal, arch: Arch, act: impl FnOnce(&Service) -> Result<T>) -> Result<T> {
    let aws = |words: &[&str]| -> Result<Value> { rehearsal.session.aws(rehearsal.workspace, words) };
    let name = match arch {
        Arch::X86_64 => "bifora-amd",
        Arch::Aarch64 => "bifora-arm",
    };
    act(&Service {
        aws: &aws,
        cluster: SERVICE,
        name,
    })
}
