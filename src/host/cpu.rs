//! The CPU: its model, its cores, and the features that matter when code moves between architectures.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, RefreshKind, System};
use utoipa::ToSchema;

use crate::text;

/// The CPU as this process sees it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Cpu {
    /// The model, `Neoverse-V1` or `Intel(R) Xeon(R) …`.
    pub model: Option<String>,
    /// Cores that this process may use at once.
    pub cores: usize,
    /// Features that were looked for and found.
    pub features: Vec<String>,
    /// Size of a line of the first-level cache, in bytes.
    pub cache_line: Option<u64>,
}

impl Cpu {
    /// Reads the CPU; files are taken below `root`.
    pub fn read(root: &Path) -> Self {
        let cpus = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
        let system = System::new_with_specifics(cpus).ok();
        let cache_line = root.join("sys/devices/system/cpu/cpu0/cache/index0/coherency_line_size");
        Self {
            model: system.and_then(|system| system.cpus().iter().find_map(|cpu| text::clean(cpu.brand()))),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            features: features().into_iter().map(ToOwned::to_owned).collect(),
            cache_line: fs::read_to_string(cache_line)
                .ok()
                .and_then(|size| size.trim().parse().ok()),
        }
    }
}

/// The features that were found, in the order of the list.
fn features() -> Vec<&'static str> {
    candidates()
        .into_iter()
        .filter(|(_, found)| *found)
        .map(|(name, _)| name)
        .collect()
}

#[cfg(target_arch = "x86_64")]
fn candidates() -> [(&'static str, bool); 6] {
    use std::arch::is_x86_feature_detected as has;
    [
        ("SSE4.2", has!("sse4.2")),
        ("AVX2", has!("avx2")),
        ("FMA", has!("fma")),
        ("AVX-512", has!("avx512f") && has!("avx512bw") && has!("avx512vl")),
        ("AES", has!("aes")),
        ("SHA", has!("sha")),
    ]
}

#[cfg(target_arch = "aarch64")]
fn candidates() -> [(&'static str, bool); 7] {
    use std::arch::is_aarch64_feature_detected as has;
    [
        ("NEON", has!("neon")),
        ("SVE", has!("sve")),
        ("SVE2", has!("sve2")),
        ("LSE", has!("lse")),
        ("CRC32", has!("crc")),
        ("AES", has!("aes")),
        ("SHA-2", has!("sha2")),
    ]
}
