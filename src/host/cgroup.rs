//! Limits of the container, from control groups of version 2 and version 1.
//!
//! Source: the kernel's `admin-guide/cgroup-v2.rst` and `admin-guide/cgroup-v1/`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::report::Section;
use crate::text;

/// What the container may use; `null` is "no limit, or not known" (see `version`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Limits {
    /// Version of the control groups that were read, 1 or 2; `null` when there are none.
    pub version: Option<u8>,
    /// CPUs worth of time.
    pub cpus: Option<f64>,
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Memory in use, in bytes.
    pub memory_used: Option<u64>,
}

impl Limits {
    /// Reads the control groups below `root`. A container sees its own group at the root of the tree, a process
    /// outside of one sees it by path; both are looked at.
    pub fn read(root: &Path) -> Self {
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let tree = root.join("sys/fs/cgroup");
        if tree.join("cgroup.controllers").exists() {
            Self::version_2(&tree, &groups)
        } else if tree.join("memory").exists() || tree.join("cpu").exists() {
            Self::version_1(&tree, &groups)
        } else {
            Self::default()
        }
    }

    fn version_2(tree: &Path, groups: &str) -> Self {
        let folders = path_and_ancestors(tree, group(groups, str::is_empty));
        let cpus = |folder: &PathBuf| {
            let max = read(folder, "cpu.max")?;
            let (quota, period) = max.split_once(' ')?;
            ratio(quota.parse().ok()?, period.parse().ok()?)
        };
        Self {
            version: Some(2),
            // The tightest limit on the way to the root is the one that holds.
            cpus: folders.iter().filter_map(cpus).min_by(f64::total_cmp),
            memory: folders
                .iter()
                .filter_map(|f| read(f, "memory.max")?.parse().ok())
                .min(),
            memory_used: folders
                .iter()
                .find_map(|f| read(f, "memory.current")?.parse().ok()),
        }
    }

    fn version_1(tree: &Path, groups: &str) -> Self {
        let folders = |controller: &str| {
            let group = group(groups, |controllers| {
                controllers.split(',').any(|c| c == controller)
            });
            path_and_ancestors(&tree.join(controller), group)
        };
        let number = |folder: &PathBuf, file: &str| read(folder, file)?.parse::<i64>().ok();
        let cpus = |folder: &PathBuf| {
            let (quota, period) = (
                number(folder, "cpu.cfs_quota_us")?,
                number(folder, "cpu.cfs_period_us")?,
            );
            ratio(u64::try_from(quota).ok()?, u64::try_from(period).ok()?)
        };
        // Without a limit the file holds the largest number of whole pages.
        let limited = |bytes: &u64| *bytes < 1 << 62;
        let memory = folders("memory");
        let bytes = |folder: &PathBuf, file: &str| read(folder, file)?.parse::<u64>().ok();
        Self {
            version: Some(1),
            cpus: folders("cpu").iter().filter_map(cpus).min_by(f64::total_cmp),
            memory: memory
                .iter()
                .filter_map(|f| bytes(f, "memory.limit_in_bytes"))
                .filter(limited)
                .min(),
            memory_used: memory.iter().find_map(|f| bytes(f, "memory.usage_in_bytes")),
        }
    }

    /// The facts as people read them.
    pub fn section(&self) -> Section {
        const HOW: &str = "read from /sys/fs/cgroup, which is not available here";
        let limit = |limit: Option<String>| limit.or_else(|| self.version.map(|_| "no limit".to_owned()));
        Section::new("limits", "Container limits")
            .row(
                "Control groups",
                self.version.map(|v| format!("version {v}")),
                HOW,
            )
            .row("CPU", limit(self.cpus.map(|cpus| format!("{cpus} CPUs"))), HOW)
            .row("Memory", limit(self.memory.map(text::bytes)), HOW)
            .row("Memory in use", self.memory_used.map(text::bytes), HOW)
    }
}

/// The group's path in the line of `/proc/self/cgroup` whose controllers fit.
fn group(groups: &str, fits: impl Fn(&str) -> bool) -> &str {
    let path = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        fits(parts.next()?).then(|| parts.next())?
    });
    path.unwrap_or("/")
}

/// The group's folder first, the tree's root last.
fn path_and_ancestors(tree: &Path, group: &str) -> Vec<PathBuf> {
    let group = Path::new(group.trim_start_matches('/'));
    // `..` is how a process sees a group outside of its namespace.
    let inside = !group.components().any(|part| part.as_os_str() == "..");
    let group = if inside { group } else { Path::new("") };
    group.ancestors().map(|part| tree.join(part)).collect()
}

fn read(folder: &Path, file: &str) -> Option<String> {
    fs::read_to_string(folder.join(file))
        .ok()
        .map(|value| value.trim().to_owned())
}

fn ratio(quota: u64, period: u64) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of a period, far below 2^52"
    )]
    (period > 0).then(|| quota as f64 / period as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(files: &[(&str, &str)]) -> Limits {
        let root = tempfile::tempdir().expect("a folder");
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("created");
            fs::write(path, content).expect("written");
        }
        Limits::read(root.path())
    }

    #[test]
    fn version_2_takes_the_tightest_on_the_way() {
        let found = limits(&[
            ("proc/self/cgroup", "0::/ecs/task/bifora\n"),
            ("sys/fs/cgroup/cgroup.controllers", "cpu memory\n"),
            ("sys/fs/cgroup/ecs/task/cpu.max", "50000 100000\n"),
            ("sys/fs/cgroup/ecs/task/bifora/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/ecs/task/memory.max", "1073741824\n"),
            ("sys/fs/cgroup/ecs/task/bifora/memory.max", "max\n"),
            ("sys/fs/cgroup/ecs/task/bifora/memory.current", "4096\n"),
        ]);
        let memory = Some(1 << 30);
        assert_eq!(
            found,
            Limits {
                version: Some(2),
                cpus: Some(0.5),
                memory,
                memory_used: Some(4096)
            }
        );
    }

    #[test]
    fn version_1_and_its_words_for_no_limit() {
        let groups = "5:cpu,cpuacct:/docker/ab\n3:memory:/docker/ab\n1:name=systemd:/x\n";
        let found = limits(&[
            ("proc/self/cgroup", groups),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "8192\n"),
        ]);
        assert_eq!(
            found,
            Limits {
                version: Some(1),
                cpus: Some(2.0),
                memory: None,
                memory_used: Some(8192)
            }
        );
        let none = limits(&[
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(
            none,
            Limits {
                version: Some(1),
                ..Limits::default()
            }
        );
    }

    #[test]
    fn nonsense_is_no_limit() {
        assert_eq!(limits(&[]), Limits::default());
        let found = limits(&[
            ("proc/self/cgroup", "0::/../../etc\ngarbage\n"),
            ("sys/fs/cgroup/cgroup.controllers", ""),
            ("sys/fs/cgroup/cpu.max", "x 0\n"),
            ("sys/fs/cgroup/memory.max", "-5\n"),
        ]);
        assert_eq!(
            found,
            Limits {
                version: Some(2),
                ..Limits::default()
            }
        );
    }
}
