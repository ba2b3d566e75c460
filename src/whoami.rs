//! Who answered: the few facts that tell one task behind the load balancer from another.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::arch::Arch;
use crate::build_info;

/// The answer of `/api/whoami`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct WhoAmI {
    /// Architecture of the running binary.
    pub arch: Arch,
    /// What translates its instructions; `null` when it runs natively.
    pub emulator: Option<String>,
    /// Host name; in a container the container's.
    pub hostname: Option<String>,
    /// CPU model.
    pub cpu: Option<String>,
    /// Cores that the process may use at once.
    pub cpus: usize,
    /// 32 hexadecimal digits, drawn when the process started: tells two processes apart where there are no tasks.
    pub instance: String,
    /// When the process started, RFC 3339; `null` when its clock is out of range.
    pub started: Option<String>,
    /// ECS task id.
    pub task: Option<String>,
    /// Availability zone.
    pub zone: Option<String>,
    /// Version of the package.
    #[schema(example = "0.1.0")]
    pub version: String,
    /// Full commit hash.
    pub commit: Option<String>,
    /// Digest of the image that runs, `sha256:` and 64 hexadecimal digits, as ECS tells it.
    pub image_digest: Option<String>,
}

impl WhoAmI {
    /// What tells this process from others: the task, else the instance.
    pub fn identity(&self) -> &str {
        self.task.as_deref().unwrap_or(&self.instance)
    }

    /// The first seven characters of the commit, or `unknown`.
    pub fn short_commit(&self) -> &str {
        build_info::short(self.commit.as_deref())
    }
}
