//! The image of each architecture in a container of its own, without anything around it.

use std::time::Duration;

use crate::support::{ARCHS, deployed, docker, get, wait_for};

/// A container, removed when it is dropped.
struct Container(String);

impl Container {
    /// Runs the deployed image for a platform.
    fn run(platform: &str, options: &[&str]) -> Self {
        let image = deployed();
        let arguments = [
            &["run", "--detach", "--platform", platform][..],
            options,
            &[&image],
        ]
        .concat();
        Self(docker(&arguments))
    }

    fn inspect(&self, format: &str) -> String {
        docker(&["inspect", "--format", format, &self.0])
    }

    fn url(&self, path: &str) -> String {
        format!(
            "http://{}:8080{path}",
            self.inspect("{{.NetworkSettings.IPAddress}}")
        )
    }

    fn wait_for_health(&self, wanted: &str) {
        wait_for(&format!("health is {wanted}"), Duration::from_mins(1), || {
            (self.inspect("{{.State.Health.Status}}") == wanted).then_some(())
        });
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.0]);
    }
}

#[test]
fn runs_read_only_without_capabilities_as_any_user_and_ends_in_order() {
    for (arch, platform, _) in ARCHS {
        let container = Container::run(
            platform,
            &[
                "--read-only",
                "--cap-drop=ALL",
                "--security-opt=no-new-privileges",
                "--user=12345:12345",
                "--env=BIFORA_SHUTDOWN_DELAY=1s",
                "--health-interval=1s",
            ],
        );
        container.wait_for_health("healthy");
        let answer = get(&container.url("/api/whoami"), "container", None);
        assert_eq!(answer["arch"], arch, "{answer}");
        let is_native = arch == std::env::consts::ARCH;
        assert_eq!(answer["emulator"].is_null(), is_native, "{answer}");
        docker(&["stop", "--time", "20", &container.0]);
        assert_eq!(
            container.inspect("{{.State.ExitCode}}"),
            "0",
            "{arch}: {}",
            docker(&["logs", &container.0])
        );
    }
}

#[test]
fn health_check_tells_a_process_that_hangs() {
    for (_, platform, _) in ARCHS {
        let options = [
            "--health-interval=1s",
            "--health-timeout=2s",
            "--health-retries=2",
        ];
        let container = Container::run(platform, &options);
        container.wait_for_health("healthy");
        docker(&["kill", "--signal=STOP", &container.0]);
        container.wait_for_health("unhealthy");
        docker(&["kill", "--signal=CONT", &container.0]);
        container.wait_for_health("healthy");
    }
}

#[test]
fn labels_tell_what_was_built() {
    for (_, platform, _) in ARCHS {
        let container = Container::run(platform, &[]);
        let label = |name: &str| {
            container.inspect(&format!(
                "{{{{index .Config.Labels \"org.opencontainers.image.{name}\"}}}}"
            ))
        };
        let revision = label("revision");
        assert!(
            revision.len() == 40 && revision.chars().all(|c| c.is_ascii_hexdigit()),
            "{revision}"
        );
        assert!(
            label("version").starts_with(&revision[..7]),
            "{}",
            label("version")
        );
        assert_eq!(label("licenses"), "MIT OR Apache-2.0");
        assert!(label("created").contains('T'), "{}", label("created"));
        assert_eq!(container.inspect("{{.Config.User}}"), "65532:65532");
        assert_eq!(
            container.inspect("{{json .Config.ExposedPorts}}"),
            r#"{"8080/tcp":{}}"#
        );
        let command = container.inspect("{{json .Config.Healthcheck.Test}}");
        assert_eq!(command, r#"["CMD","/bifora","healthcheck"]"#);
    }
}

#[test]
fn other_commands_run_in_the_image() {
    for (arch, platform, _) in ARCHS {
        let text = docker(&["run", "--rm", "--platform", platform, &deployed(), "info"]);
        assert!(text.contains(arch), "{text}");
    }
}
