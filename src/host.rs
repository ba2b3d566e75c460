//! The machine and the process, as the kernel and `sysinfo` tell of them: what the system page shows.

pub mod cgroup;
pub mod cpu;
pub mod machine;

use std::fs;
use std::path::Path;
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};
use utoipa::ToSchema;

use self::cgroup::Limits;
use self::cpu::Cpu;
use self::machine::Machine;
use crate::report::Section;
use crate::text;

const PROC: &str = "read from the kernel's files in /proc, which are not to be had here";

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

/// The start of the process on both clocks: one to show, one that nobody can set back.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// By the wall clock.
    pub at: SystemTime,
    /// By the monotonic clock.
    pub since: Instant,
}

impl Started {
    /// The start is now.
    pub fn now() -> Self {
        Self {
            at: SystemTime::now(),
            since: Instant::now(),
        }
    }
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

/// This process.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Process {
    /// Process id, in the container's own count.
    pub pid: u32,
    /// Resident memory, in bytes.
    pub memory: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open files and connections.
    pub open_files: Option<u64>,
    /// Seconds of CPU time, its own and the kernel's for it.
    pub cpu_seconds: Option<f64>,
    /// When it started, RFC 3339; `null` when the clock is out of range.
    pub started: Option<String>,
    /// Seconds since it started.
    pub uptime: u64,
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
    cfg!(not(target_os = "linux"))
        || ["/etc/os-release", "/usr/lib/os-release"]
            .iter()
            .any(|file| Path::new(file).exists())
}

impl Process {
    /// Reads the process's own figures.
    pub fn now(started: Started) -> Self {
        let read = |file: &str| fs::read_to_string(Path::new("/proc/self").join(file)).unwrap_or_default();
        let status = read("status");
        Self {
            pid: std::process::id(),
            memory: status_field(&status, "VmRSS").map(|kib| kib * 1024),
            threads: status_field(&status, "Threads"),
            open_files: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|files| files.count() as u64),
            cpu_seconds: cpu_seconds(&read("stat"), rustix::param::clock_ticks_per_second()),
            started: text::rfc3339(started.at),
            uptime: started.since.elapsed().as_secs(),
        }
    }
}

/// The number of a line such as `VmRSS: 1234 kB`.
fn status_field(status: &str, name: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time out of `/proc/self/stat` (fields 14 and 15 of proc(5)), which are counted in ticks. The
/// second field is the program's name and may hold anything, so that counting begins behind it.
fn cpu_seconds(stat: &str, ticks_per_second: u64) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let times: Option<Vec<u64>> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|n| n.parse().ok())
        .collect();
    let times = times.filter(|times| times.len() == 2 && ticks_per_second > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "ticks of a process, far below 2^52")]
    Some(times.iter().sum::<u64>() as f64 / ticks_per_second as f64)
}

impl SystemInfo {
    /// The facts as people read them.
    pub fn sections(&self) -> Vec<Section> {
        let bytes = |count: Option<u64>| count.map(text::bytes);
        let mut machine = Section::new("machine", "Machine")
            .row("Host name", self.hostname.as_ref(), "the kernel tells it")
            .row(
                "Operating system",
                self.os.as_ref(),
                "read from /etc/os-release, which this image does not have",
            )
            .row("Kernel", self.kernel.as_ref(), PROC)
            .row("Compiled for", Some(self.machine.compiled), "")
            .row("Machine says", self.machine.uname.as_ref(), "uname tells it")
            .row(
                "Kernel says",
                self.machine.kernel.as_ref(),
                "read from /proc/sys/kernel/arch, since Linux 6.1",
            )
            .row(
                "Emulated by",
                Some(
                    self.machine
                        .emulator
                        .as_deref()
                        .unwrap_or("nothing: this runs natively"),
                ),
                "",
            );
        if let Some(emulator) = &self.machine.emulator {
            machine.note = Some(format!(
                "This is {} code on another machine, translated by {emulator}. Its speed says nothing about {}.",
                self.machine.compiled, self.machine.compiled
            ));
        }
        let features = Some(self.cpu.features.join(", ")).filter(|f| !f.is_empty());
        let cpu = Section::new("cpu", "CPU")
            .row("Model", self.cpu.model.as_ref(), PROC)
            .row("Cores", Some(self.cpu.cores), "")
            .row(
                "SIMD and crypto",
                features,
                "the CPU has none of those that Bifora looks for",
            )
            .row("Page size", Some(text::bytes(self.page_size)), "")
            .row(
                "Cache line",
                bytes(self.cpu.cache_line),
                "read from /sys/devices/system/cpu, which is not to be had here",
            );
        let memory = Section::new("memory", "Memory")
            .row("Total", bytes(self.memory.total), PROC)
            .row("Available", bytes(self.memory.available), PROC);
        let process = Section::new("process", "Process")
            .row("Process id", Some(self.process.pid), "")
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
            .row("Uptime", Some(uptime(self.process.uptime)), "");
        let names = match self.environment.as_slice() {
            [] => "no variable: none of those that Bifora looks at is set".to_owned(),
            names => names.join(", "),
        };
        let environment =
            Section::new("environment", "Environment").row("Facts are read from", Some(names), "");
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
    fn fields_of_the_process() {
        let status = "Name:\tbifora\nVmRSS:\t    1234 kB\nThreads:\t3\n";
        assert_eq!(status_field(status, "VmRSS"), Some(1234));
        assert_eq!(status_field(status, "Threads"), Some(3));
        assert_eq!(status_field(status, "VmSwap"), None);
        assert_eq!(status_field("VmRSS: x", "VmRSS"), None);
    }

    #[test]
    fn cpu_time_of_the_process() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 3 0 1 1 1";
        assert_eq!(cpu_seconds(stat, 100), Some(2.0));
        assert_eq!(cpu_seconds(stat, 0), None);
        assert_eq!(cpu_seconds("7 (a) S 1", 100), None);
    }

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
