//! Whether a role allows what the commands and orbs that take it do.

use std::collections::BTreeSet;

use crate::pipeline::buildspec;
use crate::pipeline::circleci::{Action, Expansion, Work};
use crate::pipeline::lint::scripts::Commands;
use crate::pipeline::lint::{CIRCLECI, CODEPIPELINE, Report, Sources, codepipeline};
use crate::pipeline::yaml::Node;

const PUSH: &[&str] = &[
    "BatchCheckLayerAvailability",
    "CompleteLayerUpload",
    "InitiateLayerUpload",
    "PutImage",
    "UploadLayerPart",
];

/// What `CodePipeline` does with its role: it hands artefacts on, starts builds, and revises what the services run.
const OF_PIPELINE: &[&str] = &[
    "codebuild:BatchGetBuilds",
    "codebuild:StartBuild",
    "codeconnections:UseConnection",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeTasks",
    "ecs:ListTasks",
    "ecs:RegisterTaskDefinition",
    "ecs:TagResource",
    "ecs:UpdateService",
    "iam:PassRole",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
];

/// The actions that the policies of a role allow.
pub(crate) fn allowed(role: &Node) -> BTreeSet<String> {
    let mut actions = BTreeSet::new();
    for policy in role.get("Policies").map(Node::items).unwrap_or_default() {
        let statements = policy
            .at(&["PolicyDocument", "Statement"])
            .map(Node::items)
            .unwrap_or_default();
        for statement in statements {
            if statement.get("Effect").and_then(Node::as_text) == Some("Allow") {
                actions.extend(statement.get("Action").map(Node::scalars).unwrap_or_default());
            }
        }
    }
    actions
}

/// What a build needs to hand in results of tests.
const REPORT: [&str; 4] = [
    "BatchPutTestCases",
    "CreateReport",
    "CreateReportGroup",
    "UpdateReport",
];

/// What CircleCI's jobs do with their role.
pub(crate) fn of_circleci(sources: &Sources, expansion: &Expansion) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    let mut need = |names: &[&str]| needed.extend(names.iter().map(|&name| name.to_owned()));
    for job in &expansion.jobs {
        let mut deploys = false;
        for step in job.steps() {
            match &step.action {
                Action::Orb { name, .. } if name == "aws-ecr/ecr_login" => {
                    need(&["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"]);
                }
                Action::Orb { name, .. } if name == "aws-ecs/update_service" => deploys = true,
                Action::Run(run) => {
                    let commands =
                        Commands::read(sources, &run.command, CIRCLECI, step.line, &mut Report::default());
                    if commands.publishes() {
                        let actions: Vec<_> =
                            PUSH.iter().map(|action| format!("ecr-public:{action}")).collect();
                        need(&actions.iter().map(String::as_str).collect::<Vec<_>>());
                    }
                    for action in by_command_line(&commands.text) {
                        need(&[&action]);
                    }
                }
                _ => {}
            }
        }
        deploys |= matches!(&job.work, Work::Orb { name, .. } if name == "aws-ecs/deploy_service_update");
        if deploys {
            need(&[
                "ecs:DescribeServices",
                "ecs:DescribeTaskDefinition",
                "ecs:UpdateService",
            ]);
            // The orb registers the new revision with the tags of the one before, which service.yml gives it.
            need(&["ecs:RegisterTaskDefinition", "ecs:TagResource", "iam:PassRole"]);
        }
    }
    needed
}

/// What the builds of a project do with their role in private ECR and by the command line.
fn of_build(text: &str, uploads: bool, publishes: bool, hands_on: bool) -> BTreeSet<String> {
    let mut needed: BTreeSet<_> = by_command_line(text).collect();
    let mut need = |names: &[&str]| needed.extend(names.iter().map(|&name| name.to_owned()));
    need(&[
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "s3:GetObject",
        "s3:GetObjectVersion",
    ]);
    if hands_on {
        need(&["s3:PutObject"]);
    }
    if publishes {
        // Reading is by whoever looks at what it has pushed.
        need(&[
            "ecr:BatchGetImage",
            "ecr:PutImage",
            "ecr:BatchCheckLayerAvailability",
        ]);
    }
    if uploads {
        need(&[
            "ecr:CompleteLayerUpload",
            "ecr:InitiateLayerUpload",
            "ecr:UploadLayerPart",
        ]);
    }
    needed
}

/// The action behind each `aws service operation` of a script.
fn by_command_line(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .filter(|line| !line.starts_with("need_programs "))
        .flat_map(|line| {
            let words = line.split(|c: char| c.is_whitespace() || "$(`;|\"'".contains(c));
            let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
            let calls = words.windows(3);
            let calls = calls.filter(|words| words[0] == "aws" && is_word(words[1]) && is_word(words[2]));
            calls.map(|words| action(words[1], words[2])).collect::<Vec<_>>()
        })
}

fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

/// `cloudformation describe-stacks` asks for `cloudformation:DescribeStacks`.
fn action(service: &str, operation: &str) -> String {
    if operation == "get-login-password" {
        return format!("{service}:GetAuthorizationToken");
    }
    let words = operation.split('-').map(|word| {
        let (first, rest) = word.split_at(1.min(word.len()));
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    format!("{service}:{}", words.collect::<String>())
}

/// The roles of the pipeline and of its builds allow what these do.
pub(crate) fn of_roles(sources: &Sources, facts: &codepipeline::Facts, report: &mut Report) {
    let roles = match facts.template.resources("AWS::IAM::Role") {
        Ok(roles) => roles,
        Err(problem) => return report.problem(CODEPIPELINE, problem),
    };
    match role_of(&roles, &facts.pipeline.role) {
        Some((line, role)) => {
            let allowed = allowed(role);
            for action in OF_PIPELINE.iter().filter(|action| !allowed.contains(**action)) {
                report.add(
                    CODEPIPELINE,
                    line,
                    format!("the role of the pipeline does not allow {action}"),
                );
            }
        }
        None => report.add(
            CODEPIPELINE,
            1,
            format!("there is no role {}", facts.pipeline.role),
        ),
    }
    for project in &facts.pipeline.projects {
        let role = role_of(&roles, &project.service_role);
        let Some((line, role)) = role else {
            report.add(
                CODEPIPELINE,
                project.line,
                format!(
                    "the project {} has the role {}, which does not exist",
                    project.name, project.service_role
                ),
            );
            continue;
        };
        let tree = sources.yaml(&project.buildspec, &mut Report::default());
        let Some(Ok(buildspec)) = tree.map(buildspec::of) else {
            continue;
        };
        let text: Vec<_> = buildspec
            .commands()
            .map(|command| command.text.as_str())
            .collect();
        let commands = Commands::read(
            sources,
            &text.join("\n"),
            &project.buildspec,
            1,
            &mut Report::default(),
        );
        let allowed = allowed(role);
        let mut needed = of_build(
            &commands.text,
            commands.mentions(&["docker push"]),
            commands.publishes(),
            buildspec.artifacts.is_some(),
        );
        if !buildspec.reports.is_empty() {
            needed.extend(REPORT.map(|action| format!("codebuild:{action}")));
        }
        for action in needed {
            if !allowed.contains(&action) {
                let what = format!(
                    "the role of the project {} does not allow {action}, which its build needs",
                    project.name
                );
                report.add(CODEPIPELINE, line, what);
            }
        }
    }
}

/// The role with this ARN, and where it stands.
fn role_of<'a>(roles: &'a [(String, usize, Node)], arn: &str) -> Option<(usize, &'a Node)> {
    let name = arn.rsplit('/').next().unwrap_or(arn);
    let role = roles
        .iter()
        .find(|(_, _, role)| role.get("RoleName").and_then(Node::scalar).as_deref() == Some(name));
    role.map(|(_, line, role)| (*line, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_ask_for_the_actions_of_their_names() {
        let text = "URL=$(aws cloudformation describe-stacks --stack-name x) && aws ecr get-login-password | docker login";
        let actions: Vec<_> = by_command_line(text).collect();
        assert_eq!(
            actions,
            ["cloudformation:DescribeStacks", "ecr:GetAuthorizationToken"]
        );
    }
}
