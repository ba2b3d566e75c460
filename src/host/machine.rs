//! Which machine this is, and whether an emulator stands between it and this process.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::arch::Arch;
use crate::text;

/// The architecture from every side.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Machine {
    /// What the binary was compiled for.
    pub compiled: Arch,
    /// What `uname` says; an emulator answers this itself.
    pub uname: Option<String>,
    /// What `/proc/sys/kernel/arch` says; an emulator lets this through. Since Linux 6.1.
    pub kernel_arch: Option<String>,
    /// What translates this process's instructions; `null` when nothing does, as far as can be seen.
    pub emulator: Option<String>,
    /// Whether there was anything to see it by.
    pub emulation_checked: bool,
}

impl Machine {
    /// Reads the files below `root`.
    pub fn read(root: &Path) -> Self {
        let kernel = fs::read_to_string(root.join("proc/sys/kernel/arch"))
            .ok()
            .and_then(|k| text::clean(&k));
        let cpuinfo = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
        // qemu-user answers /proc/self/exe with the program's path, and lets this one through.
        let executable = fs::read_link(root.join("proc/thread-self/exe")).ok();
        let executable = executable.as_deref().and_then(Path::file_name);
        let executable = executable.and_then(|name| text::clean(&name.to_string_lossy()));
        Self {
            compiled: Arch::COMPILED,
            uname: rustix::system::uname()
                .machine()
                .to_str()
                .ok()
                .and_then(text::clean),
            emulator: emulator(Arch::COMPILED, kernel.as_deref(), &cpuinfo, executable.as_deref()),
            emulation_checked: kernel.is_some() || !cpuinfo.is_empty() || executable.is_some(),
            kernel_arch: kernel,
        }
    }
}

/// Judges from what an emulator does not hide: the file that really runs, the kernel's own architecture, and the shape
/// of `/proc/cpuinfo`.
fn emulator(compiled: Arch, kernel: Option<&str>, cpuinfo: &str, executable: Option<&str>) -> Option<String> {
    match executable {
        Some("qemu-x86_64" | "qemu-x86_64-static" | "qemu-aarch64" | "qemu-aarch64-static") => {
            return Some("qemu-user".to_owned());
        }
        Some(name) if name.starts_with("rosetta") => return Some("Rosetta".to_owned()),
        Some(name) if name.starts_with("box64") || name.starts_with("FEX") => return Some(name.to_owned()),
        _ => {}
    }
    let by_kernel = kernel.and_then(Arch::from_machine);
    let has = |key: &str| cpuinfo.lines().any(|line| line.starts_with(key));
    let by_cpuinfo = match (has("vendor_id"), has("CPU implementer")) {
        (true, false) => Some(Arch::X86_64),
        (false, true) => Some(Arch::Aarch64),
        _ => None,
    };
    let really = by_kernel.or(by_cpuinfo)?;
    (really != compiled).then(|| format!("an emulator on {really}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTEL: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon\n";
    const GRAVITON: &str = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n";

    #[test]
    fn native_is_native() {
        assert_eq!(
            emulator(Arch::X86_64, Some("x86_64"), INTEL, Some("bifora")),
            None
        );
        assert_eq!(
            emulator(Arch::Aarch64, Some("aarch64"), GRAVITON, Some("bifora")),
            None
        );
        assert_eq!(emulator(Arch::Aarch64, None, GRAVITON, None), None);
        assert_eq!(emulator(Arch::X86_64, None, "", None), None);
    }

    #[test]
    fn emulators_are_noticed() {
        let judge = |kernel, cpuinfo, executable| emulator(Arch::Aarch64, kernel, cpuinfo, executable);
        assert_eq!(
            judge(Some("x86_64"), INTEL, Some("qemu-aarch64-static")).as_deref(),
            Some("qemu-user")
        );
        assert_eq!(
            judge(None, INTEL, None).as_deref(),
            Some("an emulator on x86_64"),
            "an old kernel"
        );
        // Newer emulators make up a cpuinfo of the architecture they play.
        assert_eq!(
            judge(Some("x86_64"), GRAVITON, None).as_deref(),
            Some("an emulator on x86_64")
        );
        let rosetta = emulator(Arch::X86_64, Some("aarch64"), "", Some("rosetta"));
        assert_eq!(rosetta.as_deref(), Some("Rosetta"));
    }
}
