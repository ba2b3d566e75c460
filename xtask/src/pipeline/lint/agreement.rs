//! What several files say of the same thing: cluster, services, containers, repositories, roles.

use std::collections::BTreeSet;

use crate::pipeline::circleci::{Action, Expansion, Job, Work};
use crate::pipeline::codepipeline::{Provider, Template};
use crate::pipeline::lint::codepipeline::inputs;
use crate::pipeline::lint::scripts::Commands;
use crate::pipeline::lint::{
    CIRCLECI, CIRCLECI_ROLE, CODEPIPELINE, Report, SERVICE, Sources, codepipeline, permissions,
};
use crate::pipeline::yaml::{Node, Problem};

/// The services as `service.yml` creates them if nothing else is asked for.
struct Services {
    template: Template,
    /// Name, family and container of each.
    all: Vec<(String, String, String)>,
    cluster: String,
}

pub(crate) fn check(
    sources: &Sources,
    circleci: Option<&Expansion>,
    codepipeline: Option<&codepipeline::Facts>,
    report: &mut Report,
) {
    let services = match sources.yaml(SERVICE, report).map(services) {
        Some(Ok(services)) => services,
        Some(Err(problem)) => return report.problem(SERVICE, problem),
        None => return,
    };
    let given = [
        ("OrgId", "00000000-0000-0000-0000-000000000000"),
        ("ProjectId", "00000000-0000-0000-0000-000000000000"),
        ("VcsOrigin", "github.com/owner/bifora"),
    ];
    if let Some(root) = sources.yaml(CIRCLECI_ROLE, report) {
        let role = Template::new(root.clone(), inputs(&given));
        same_defaults(CIRCLECI_ROLE, &role, &services.template, report);
        if let Some(released) = circleci {
            of_circleci(sources, released, &services, &role, report);
        }
    }
    if let Some(facts) = codepipeline {
        same_defaults(CODEPIPELINE, &facts.template, &services.template, report);
        of_codepipeline(facts, &services, report);
        permissions::of_roles(sources, facts, report);
    }
}

fn services(root: &Node) -> Result<Services, Problem> {
    let given = [
        ("ImageUri", "registry.example/bifora:tag"),
        ("VpcID", "vpc-0"),
        ("SubnetIDs", "subnet-0,subnet-1"),
    ];
    let template = Template::new(root.clone(), inputs(&given));
    let text = |node: &Node, path: &[&str]| node.at(path).and_then(Node::scalar).unwrap_or_default();
    let definitions = template.resources("AWS::ECS::TaskDefinition")?;
    let mut all = Vec::new();
    let mut cluster = String::new();
    for (_, _, service) in template.resources("AWS::ECS::Service")? {
        let definition = text(&service, &["TaskDefinition"]);
        // A reference to a task definition is its logical id here.
        let definition = definitions.iter().find(|(id, ..)| definition == *id);
        let family = definition
            .map(|(_, _, definition)| text(definition, &["Family"]))
            .unwrap_or_default();
        let container = service.get("LoadBalancers").and_then(|list| list.items().first());
        let container = container
            .map(|entry| text(entry, &["ContainerName"]))
            .unwrap_or_default();
        cluster = text(&service, &["Cluster"]);
        all.push((text(&service, &["ServiceName"]), family, container));
    }
    Ok(Services {
        template,
        all,
        cluster,
    })
}

/// Parameters of one name have one default.
fn same_defaults(file: &str, template: &Template, service: &Template, report: &mut Report) {
    for (line, name) in template.parameters() {
        let (own, other) = (template.default(name), service.default(name));
        if let (Some((_, own)), Some((_, other))) = (own, other)
            && own != other
        {
            report.add(
                file,
                line,
                format!("{name} is `{own}` by default, and `{other}` in {SERVICE}"),
            );
        }
    }
}

fn of_circleci(
    sources: &Sources,
    released: &Expansion,
    services: &Services,
    role: &Template,
    report: &mut Report,
) {
    let default = |name: &str| role.default(name).map(|(_, value)| value).unwrap_or_default();
    let repository = default("RepositoryName");
    let role_name = format!(":role/{}", default("RoleName"));
    let mut deployed = BTreeSet::new();
    for job in &released.jobs {
        for step in job.steps() {
            match &step.action {
                Action::Orb { name, parameters } if name == "aws-cli/setup" => {
                    let arn = parameters.get("role_arn").map_or("", String::as_str);
                    if !arn.ends_with(&role_name) {
                        let what = format!(
                            "`{}` takes the role {arn}, and {CIRCLECI_ROLE} makes {role_name}",
                            job.name
                        );
                        report.add(CIRCLECI, step.line, what);
                    }
                }
                Action::Run(run) => {
                    let mut command = run.command.clone();
                    for (name, value) in &run.environment {
                        command = command.replace(&format!("${name}"), value);
                    }
                    for path in public_repositories(&command) {
                        if path != repository {
                            let what = format!(
                                "`{}` uses the repository {path}, and {CIRCLECI_ROLE} makes {repository}",
                                job.name
                            );
                            report.add(CIRCLECI, step.line, what);
                        }
                    }
                    let commands =
                        Commands::read(sources, &run.command, CIRCLECI, step.line, &mut Report::default());
                    outputs(job, step.line, &commands.text, services, report);
                }
                _ => {}
            }
        }
        if let Work::Orb { name, parameters, .. } = &job.work
            && name == "aws-ecs/deploy_service_update"
        {
            let value = |name: &str| parameters.get(name).map_or("", String::as_str);
            let service = match value("service_name") {
                "" => value("family"),
                name => name,
            };
            let updates = value("container_image_name_updates");
            let container = updates
                .split(',')
                .find_map(|update| update.strip_prefix("container="));
            deployed.insert(service.to_owned());
            let deployment = Deployment {
                cluster: value("cluster"),
                service,
                family: Some(value("family")),
                container,
            };
            deployment.check(services, |what| {
                report.add(CIRCLECI, job.line, format!("`{}` {what}", job.name));
            });
        }
    }
    all_deployed(CIRCLECI, &deployed, services, report);
    suffixes(released, report);
    match role.resources("AWS::IAM::Role") {
        Ok(roles) => {
            for (_, line, role) in roles {
                let allowed = permissions::allowed(&role);
                for action in permissions::of_circleci(sources, released) {
                    if !allowed.contains(&action) {
                        report.add(
                            CIRCLECI_ROLE,
                            line,
                            format!("the role does not allow {action}, which CircleCI's jobs need"),
                        );
                    }
                }
            }
        }
        Err(problem) => report.problem(CIRCLECI_ROLE, problem),
    }
}

/// The architectures that are joined are those that are pushed.
fn suffixes(released: &Expansion, report: &mut Report) {
    let calls = |script: &'static str| {
        let steps = released
            .jobs
            .iter()
            .flat_map(|job| job.steps().map(move |step| (job, step)));
        steps.filter_map(move |(job, step)| match &step.action {
            Action::Run(run) => {
                let script_of = crate::pipeline::shell::Script::read(&run.command);
                let call = script_of.calls.into_iter().find(|call| call.script == script)?;
                Some((job, step.line, call))
            }
            _ => None,
        })
    };
    let pushed: BTreeSet<_> = calls("ci/push-image.sh")
        .filter_map(|(job, ..)| job.environment.get("ARCHITECTURE").cloned())
        .collect();
    for (_, line, call) in calls("ci/publish-manifest.sh") {
        let is_suffix = |word: &&String| word.starts_with("amd64") || word.starts_with("arm64");
        let joined: BTreeSet<_> = call.words.iter().filter(is_suffix).cloned().collect();
        if joined != pushed {
            report.add(
                CIRCLECI,
                line,
                format!("{joined:?} are joined, and pushed before are {pushed:?}"),
            );
        }
    }
}

/// What stands behind `public.ecr.aws/ALIAS/`.
fn public_repositories(command: &str) -> Vec<&str> {
    let found = command.split("public.ecr.aws/").skip(1);
    found
        .filter_map(|rest| {
            rest.split(['"', '\'', ' ', '\n', ':', '@'])
                .next()?
                .split_once('/')
        })
        .map(|(_, path)| path)
        .collect()
}

/// The outputs that a query asks for, the stack of the services has.
fn outputs(job: &Job, line: usize, command: &str, services: &Services, report: &mut Report) {
    for name in command.split("OutputKey=='").skip(1) {
        let name = name.split('\'').next().unwrap_or_default();
        if !services.template.outputs().contains(&name) {
            let what = format!(
                "`{}` asks for the output {name}, which {SERVICE} does not have",
                job.name
            );
            report.add(CIRCLECI, line, what);
        }
    }
}

struct Deployment<'a> {
    cluster: &'a str,
    service: &'a str,
    family: Option<&'a str>,
    container: Option<&'a str>,
}

impl Deployment<'_> {
    fn check(&self, services: &Services, mut add: impl FnMut(String)) {
        if self.cluster != services.cluster {
            add(format!(
                "deploys to the cluster {}, and {SERVICE} makes {}",
                self.cluster, services.cluster
            ));
        }
        let Some((_, family, container)) = services.all.iter().find(|(name, ..)| name == self.service) else {
            let names: Vec<_> = services.all.iter().map(|(name, ..)| name.as_str()).collect();
            return add(format!(
                "deploys the service {}, and {SERVICE} makes {}",
                self.service,
                names.join(", ")
            ));
        };
        if self.family.is_some_and(|own| own != family) {
            let own = self.family.unwrap_or_default();
            add(format!(
                "deploys the family {own}, and the service {} has {family}",
                self.service
            ));
        }
        if self.container.is_some_and(|own| own != container) {
            let own = self.container.unwrap_or_default();
            add(format!(
                "changes the container {own}, and {SERVICE} calls it {container}"
            ));
        }
    }
}

fn all_deployed(file: &str, deployed: &BTreeSet<String>, services: &Services, report: &mut Report) {
    for (name, ..) in &services.all {
        if !deployed.contains(name) {
            report.add(
                file,
                1,
                format!("the service {name} of {SERVICE} is not deployed"),
            );
        }
    }
}

fn of_codepipeline(facts: &codepipeline::Facts, services: &Services, report: &mut Report) {
    let mut deployed = BTreeSet::new();
    let actions = facts.pipeline.stages.iter().flat_map(|stage| &stage.actions);
    for action in actions.clone().filter(|action| action.provider == Provider::Ecs) {
        let value = |name: &str| action.configuration.get(name).map_or("", String::as_str);
        deployed.insert(value("ServiceName").to_owned());
        let deployment = Deployment {
            cluster: value("ClusterName"),
            service: value("ServiceName"),
            family: None,
            container: None,
        };
        deployment.check(services, |what| {
            report.add(
                CODEPIPELINE,
                action.line,
                format!("the action {} {what}", action.name),
            );
        });
    }
    all_deployed(CODEPIPELINE, &deployed, services, report);
    let containers: BTreeSet<_> = services
        .all
        .iter()
        .map(|(.., container)| container.as_str())
        .collect();
    for project in &facts.pipeline.projects {
        for variable in project
            .environment
            .iter()
            .filter(|variable| variable.name == "CONTAINER_NAME")
        {
            if !containers.contains(variable.value.as_str()) {
                let what = format!(
                    "the project {} changes the container {}, and {SERVICE} has {containers:?}",
                    project.name, variable.value
                );
                report.add(CODEPIPELINE, variable.line, what);
            }
        }
    }
}
