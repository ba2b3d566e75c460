//! The machine and the process, as the kernel and `sysinfo` tell of them: what the system page shows.

pub mod cgroup;
pub mod cpu;
pub mod machine;
mod process;

use std::path::Path;

use serde::{Deserialize, Serialize};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};
use utoipa::ToSchema;

use self::cgroup::Limits;
use self::cpu::Cpu;
use self::machine::Machine;
pub use self::process::{Process, Started};
use crate::report::Section;
use crate::text;

const PROC: &str = "read from /proc, which is not available here";

/// What does not change while the process lives; read once at start.
#[derive(Clone, Debug)]
pub struct Host {
    /// Host name; in a container the container's.
    pub hostname: Option<String>,
    /// Distribution, when the file system has one.
    pub os: Option<String>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// What the machine says of its architecture.
    pub machine: Machine,
    /// The CPU.
    pub cpu: Cpu,
    /// Size of a memory page, in bytes.
    pub page_size: u64,
    /// When the process started.
    pub started: Started,
}

/// The system page's facts at one moment.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SystemInfo {
    /// Host name; in a container the container's.
    pub hostname: Option<String>,
    /// Distribution, when the file system has one.
    pub os: Option<String>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Architecture as compiled and as the machine says.
    pub machine: Machine,
    /// The CPU.
    pub cpu: Cpu,
    /// Size of a memory page, in bytes.
    pub page_size: u64,
    /// Memory of the machine.
    pub memory: Memory,
    /// Limits of the container.
    pub limits: Limits,
    /// This process.
    pub process: Process,
    /// Names of the variables that are read as facts and are set. Their values are not shown here.
    pub environment: Vec<String>,
}

/// Memory of the machine, in bytes.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Memory {
    /// All there is.
    pub total: Option<u64>,
    /// What could be used without swapping.
    pub available: Option<u64>,
}

impl Host {
    /// Reads the machine.
    pub fn read(started: Started) -> Self {
        let root = Path::new("/");
        Self {
            hostname: System::host_name().ok().and_then(|name| text::clean(&name)),
            os: System::long_os_version()
                .ok()
                .and_then(|os| text::clean(&os))
                .filter(|_| has_distribution()),
            kernel: System::kernel_version()
                .ok()
                .and_then(|kernel| text::clean(&kernel)),
            machine: Machine::read(root),
            cpu: Cpu::read(root),
            page_size: rustix::param::page_size() as u64,
            started,
        }
    }

    /// The facts of this moment; `environment` are the names to list.
    pub fn now(&self, environment: Vec<String>) -> SystemInfo {
        let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
        let memory = System::new_with_specifics(memory).ok();
        let known = |read: fn(&System) -> u64| memory.as_ref().map(read).filter(|bytes| *bytes > 0);
        SystemInfo {
            hostname: self.hostname.clone(),
            os: self.os.clone(),
            kernel: self.kernel.clone(),
            machine: self.machine.clone(),
            cpu: self.cpu.clone(),
            page_size: self.page_size,
            memory: Memory {
                total: known(System::total_memory),
                available: known(System::available_memory),
            },
            limits: Limits::read(Path::new("/")),
            process: Process::now(self.started),
            environment,
        }
    }
}

/// A scratch image has no distribution, and `sysinfo` then names the kernel instead.
fn has_distribution() -> bool {
    ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .any(|file| Path::new(file).exists())
}

impl SystemInfo {
    /// The facts as people read them.
    pub fn sections(&self) -> Vec<Section> {
        let bytes = |count: Option<u64>| count.map(text::bytes);
        let natively = self
            .machine
            .emulation_checked
            .then_some("nothing; it runs natively");
        let emulator = self.machine.emulator.as_deref().or(natively);
        let mut machine = Section::new("machine", "Machine")
            .row(
                "Host name",
                self.hostname.as_ref(),
                "the kernel did not report it",
            )
            .row(
                "Operating system",
                self.os.as_ref(),
                "read from /etc/os-release, which this image does not have",
            )
            .row("Kernel", self.kernel.as_ref(), PROC)
            .known("Compiled for", self.machine.compiled)
            .row(
                "Machine says",
                self.machine.uname.as_ref(),
                "uname did not report it",
            )
            .row(
                "Kernel says",
                self.machine.kernel_arch.as_ref(),
                "read from /proc/sys/kernel/arch, since Linux 6.1",
            )
            .row("Emulated by", emulator, PROC);
        if let Some(emulator) = &self.machine.emulator {
            machine.note = Some(format!(
                "This is {} code on another machine, translated by {emulator}. Its speed says nothing about {}.",
                self.machine.compiled, self.machine.compiled
            ));
        }
        let features = match self.cpu.features.as_slice() {
            [] => "none of those that Bifora looks for".to_owned(),
            found => found.join(", "),
        };
        let cpu = Section::new("cpu", "CPU")
            .row("Model", self.cpu.model.as_ref(), PROC)
            .known("Cores", self.cpu.cores)
            .known("SIMD and crypto", features)
            .known("Page size", text::bytes(self.page_size))
            .row(
                "Cache line",
                bytes(self.cpu.cache_line),
                "read from /sys/devices/system/cpu, which is not available here",
            );
        let memory = Section::new("memory", "Memory")
            .row("Total", bytes(self.memory.total), PROC)
            .row("Available", bytes(self.memory.available), PROC);
        let process = Section::new("process", "Process")
            .known("Process id", self.process.pid)
            .row("Memory", bytes(self.process.memory), PROC)
            .row("Threads", self.process.threads, PROC)
            .row("Open files", self.process.open_files, PROC)
            .row(
                "CPU time",
                self.process.cpu_seconds.map(|s| format!("{s:.2} s")),
                PROC,
            )
            .row(
                "Started",
                self.process.started.as_ref(),
                "the clock is outside the years 1970 to 9999",
            )
            .known("Uptime", uptime(self.process.uptime));
        let names = match self.environment.as_slice() {
            [] => "none of those that Bifora reads".to_owned(),
            names => names.join(", "),
        };
        let environment = Section::new("environment", "Environment").known("Variables set", names);
        vec![machine, cpu, memory, self.limits.section(), process, environment]
    }
}

fn uptime(seconds: u64) -> String {
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_read() {
        let info = Host::read(Started::now()).now(vec!["VERSION".into()]);
        assert!(
            info.process.memory > Some(100_000) && info.process.threads > Some(0),
            "{info:?}"
        );
        assert!(
            info.memory.total >= info.memory.available && info.page_size >= 4096,
            "{info:?}"
        );
        assert!(info.sections().iter().all(|section| !section.rows.is_empty()));
    }
}
