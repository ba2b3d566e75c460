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

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    macro_rules! found {
        ($($name:literal => $($feature:tt)&&+),+ $(,)?) => {
            [$(($name, true $(&& std::arch::is_x86_feature_detected!($feature))+)),+]
        };
    }
    let all = found![
        "SSE4.2" => "sse4.2",
        "AVX2" => "avx2",
        "FMA" => "fma",
        "AVX-512" => "avx512f" && "avx512bw" && "avx512vl",
        "AES" => "aes",
        "SHA" => "sha",
    ];
    all.into_iter()
        .filter(|(_, found)| *found)
        .map(|(name, _)| name)
        .collect()
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<&'static str> {
    macro_rules! found {
        ($($name:literal => $feature:tt),+ $(,)?) => {
            [$(($name, std::arch::is_aarch64_feature_detected!($feature))),+]
        };
    }
    let all = found![
        "NEON" => "neon",
        "SVE" => "sve",
        "SVE2" => "sve2",
        "LSE" => "lse",
        "CRC32" => "crc",
        "AES" => "aes",
        "SHA-2" => "sha2",
    ];
    all.into_iter()
        .filter(|(_, found)| *found)
        .map(|(name, _)| name)
        .collect()
}
