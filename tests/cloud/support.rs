//! What these tests are driven with: the clients of AWS and Docker, the tool that makes load, and plain requests.

use std::fmt::Debug;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The architectures: name, Docker's platform, name of family and service.
pub(crate) const ARCHS: [(&str, &str, &str); 2] = [
    ("x86_64", "linux/amd64", "bifora-amd"),
    ("aarch64", "linux/arm64", "bifora-arm"),
];

/// A variable that `cargo xtask test cloud` sets.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test cloud`"))
}

/// Standard output of a command that has to succeed.
pub(crate) fn read(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("these programs speak UTF-8")
        .trim()
        .to_owned()
}

/// `docker`, in the engine of the local cloud.
pub(crate) fn docker(arguments: &[&str]) -> String {
    read(Command::new(variable("BIFORA_DOCKER")).args(arguments))
}

/// An answer of the AWS command line.
pub(crate) fn aws(arguments: &[&str]) -> Value {
    let answer = read(
        Command::new(variable("BIFORA_AWS"))
            .args(arguments)
            .args(["--output", "json"]),
    );
    if answer.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {answer}"))
}

/// Asks until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        thread::sleep(Duration::from_millis(250));
    }
}

/// The image that is deployed, as the task definitions name it.
pub(crate) fn deployed() -> String {
    let definition = &service("bifora-amd")["taskDefinition"];
    let definition = definition.as_str().expect("a service has a task definition");
    let answer = aws(&["ecs", "describe-task-definition", "--task-definition", definition]);
    text(&answer["taskDefinition"]["containerDefinitions"][0]["image"])
}

/// The tag of an image reference.
pub(crate) fn tag(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    image.rsplit_once(':').expect("images here have a tag").1
}

/// What ECS says of a service.
pub(crate) fn service(name: &str) -> Value {
    let answer = aws(&[
        "ecs",
        "describe-services",
        "--cluster",
        "bifora",
        "--services",
        name,
    ]);
    answer["services"][0].clone()
}

/// Whether all tasks of a service are there, of one version.
pub(crate) fn is_stable(service: &Value) -> bool {
    service["deployments"]
        .as_array()
        .is_some_and(|deployments| deployments.len() == 1)
        && service["deployments"][0]["rolloutState"] == "COMPLETED"
        && service["runningCount"] == service["desiredCount"]
}

/// Waits until both services are stable.
pub(crate) fn wait_until_stable() {
    for (_, _, name) in ARCHS {
        wait_for(&format!("{name} is stable"), Duration::from_mins(4), || {
            is_stable(&service(name)).then_some(())
        });
    }
}

/// Updates the stack of the service: these parameters, and all others as they are.
pub(crate) fn update_stack(changes: &[(&str, &str)]) {
    let describe =
        || aws(&["cloudformation", "describe-stacks", "--stack-name", "bifora"])["Stacks"][0].clone();
    let stack = describe();
    let parameters = stack["Parameters"].as_array().expect("the stack has parameters");
    let parameters: Vec<_> = parameters
        .iter()
        .map(|parameter| {
            let key = text(&parameter["ParameterKey"]);
            match changes.iter().find(|(name, _)| *name == key) {
                Some((_, value)) => json!({ "ParameterKey": key, "ParameterValue": value }),
                None => json!({ "ParameterKey": key, "UsePreviousValue": true }),
            }
        })
        .collect();
    aws(&[
        "cloudformation",
        "update-stack",
        "--stack-name",
        "bifora",
        "--use-previous-template",
        "--capabilities",
        "CAPABILITY_NAMED_IAM",
        "--parameters",
        &json!(parameters).to_string(),
    ]);
    wait_for("the stack is updated", Duration::from_mins(4), || {
        let status = text(&describe()["StackStatus"]);
        assert!(
            !status.contains("FAILED") && !status.contains("ROLLBACK"),
            "{status}"
        );
        (status == "UPDATE_COMPLETE").then_some(())
    });
}

/// Pushes a version of the deployed image with other variables, for both architectures. Returns what to deploy.
pub(crate) fn derive(name: &str, variables: &[(&str, &str)]) -> String {
    let base = deployed();
    let repository = base.split(':').next().expect("a repository");
    let version = format!("{name}-{}", std::process::id());
    let image = format!("{repository}:{version}");
    let mut dockerfile = format!("FROM {base}\nENV VERSION={version}\n");
    dockerfile.extend(
        variables
            .iter()
            .map(|(name, value)| format!("ENV {name}={value}\n")),
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("Dockerfile"), dockerfile).expect("writable");
    let folder = folder.path().to_str().expect("its path is text");
    let platforms = "--platform=linux/amd64,linux/arm64";
    docker(&[
        "buildx",
        "build",
        "--load",
        "--provenance=false",
        "--sbom=false",
        platforms,
        "--tag",
        &image,
        folder,
    ]);
    docker(&["push", "--quiet", &image]);
    let digest = docker(&["image", "inspect", "--format", "{{.Id}}", &image]);
    format!("{image}@{digest}")
}

/// Deploys an image to a service as a pipeline does: the revision that it runs, with another image.
pub(crate) fn update_service(name: &str, image: &str) {
    let running = text(&service(name)["taskDefinition"]);
    let answer = aws(&["ecs", "describe-task-definition", "--task-definition", &running]);
    let mut definition = answer["taskDefinition"].clone();
    definition["containerDefinitions"][0]["image"] = json!(image);
    let fields = definition
        .as_object_mut()
        .expect("a task definition is an object");
    // What the answer has and a request may not have.
    for answered in [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
    ] {
        fields.remove(answered);
    }
    let request = definition.to_string();
    let answer = aws(&["ecs", "register-task-definition", "--cli-input-json", &request]);
    let revision = text(&answer["taskDefinition"]["taskDefinitionArn"]);
    aws(&[
        "ecs",
        "update-service",
        "--cluster",
        "bifora",
        "--service",
        name,
        "--task-definition",
        &revision,
    ]);
}

/// Requests under way.
pub(crate) struct Load(Child);

/// Sends requests through the load balancer, in the background.
pub(crate) fn start_load(arguments: &[&str]) -> Load {
    let child = Command::new(variable("BIFORA_XTASK"))
        .args(["cloud", "load", "--json"])
        .args(arguments)
        // Cargo has set it for these tests; the tool would look for its workspace there.
        .env_remove("CARGO_MANIFEST_DIR")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    Load(child)
}

impl Load {
    /// What came of them: the tool's summary.
    pub(crate) fn finish(self) -> Value {
        let output = self.0.wait_with_output().expect("the tool ends");
        let text = String::from_utf8_lossy(&output.stdout);
        let summary = text
            .lines()
            .last()
            .and_then(|line| serde_json::from_str(line).ok());
        summary.unwrap_or_else(|| panic!("no summary: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Sends requests through the load balancer, and waits until they are answered.
pub(crate) fn load(arguments: &[&str]) -> Value {
    start_load(arguments).finish()
}

/// How many answers of a summary are of this architecture.
pub(crate) fn count(summary: &Value, arch: &str) -> u64 {
    let answers = summary["answers"].as_array().expect("a summary has answers");
    answers
        .iter()
        .filter(|answer| answer["arch"] == arch)
        .map(|answer| answer["count"].as_u64().expect("a count"))
        .sum()
}

/// The versions that answered.
pub(crate) fn versions(summary: &Value) -> Vec<String> {
    let answers = summary["answers"].as_array().expect("a summary has answers");
    let mut versions: Vec<_> = answers.iter().map(|answer| text(&answer["version"])).collect();
    versions.sort();
    versions.dedup();
    versions
}

/// The JSON answer of a path, asked through the load balancer of the architecture `arch`, or of either without.
pub(crate) fn ask(path: &str, arch: Option<&str>) -> Value {
    let address = variable("BIFORA_CLOUD_ADDRESS");
    let host = address.trim_start_matches("http://");
    let port = host.split_once(':').map_or("80", |(_, port)| port);
    get(&format!("http://127.0.0.1:{port}{path}"), host, arch)
}

/// The JSON answer of an address.
pub(crate) fn get(url: &str, host: &str, arch: Option<&str>) -> Value {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(10)))
        .max_idle_connections(0)
        .proxy(None)
        .build()
        .new_agent();
    let mut request = agent
        .get(url)
        .header("host", host)
        .header("accept", "application/json");
    if let Some(arch) = arch {
        request = request.header("x-bifora-arch", arch);
    }
    let body = request
        .call()
        .and_then(|mut response| response.body_mut().read_to_string())
        .unwrap_or_else(|error| panic!("{url}: {error}"));
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{url}: {error}: {body}"))
}

/// A text of JSON.
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

/// Says what was measured, in the output of the tests.
pub(crate) fn note(what: impl Debug) {
    println!("    {what:?}");
}
