//! The parameters of the orbs' commands and jobs, which neither the schema nor anything else on this machine knows.
//!
//! From the sources of the releases below: `src/commands/*.yml` and `src/jobs/*.yml` of
//! <https://github.com/CircleCI-Public/aws-cli-orb>, `aws-ecr-orb` and `aws-ecs-orb` at the tag of the version.

use crate::pipeline::circleci::{Parameter, ParameterKind};
use crate::pipeline::yaml::{Kind, Node};

use Otherwise::{Needed, Number, Truth, Words};
use Type::{Boolean, Enum, Executor, Integer, Steps, Text};

/// One release of an orb, as far as it is of use here.
pub(crate) struct Orb {
    /// With its namespace: `circleci/aws-ecs`.
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    elements: &'static [Element],
}

/// What a name behind `orb/` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Command,
    Job,
}

struct Element {
    role: Role,
    name: &'static str,
    parameters: &'static [(&'static str, Type, Otherwise)],
}

#[derive(Clone, Copy)]
enum Type {
    Text,
    Boolean,
    Integer,
    Steps,
    Executor,
    Enum(&'static [&'static str]),
}

#[derive(Clone, Copy)]
enum Otherwise {
    Needed,
    Words(&'static str),
    Truth(bool),
    Number(i64),
}

impl Orb {
    /// The orb of this name, whatever its version.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        ORBS.iter().find(|orb| orb.name == name)
    }

    /// The parameters of a command or job; nothing if the orb has none of this name, or this table lacks it.
    pub(crate) fn parameters(&self, role: Role, name: &str) -> Option<Vec<Parameter>> {
        let element = self
            .elements
            .iter()
            .find(|element| element.role == role && element.name == name)?;
        Some(element.parameters.iter().map(parameter).collect())
    }

    /// The names that the table has for this role.
    pub(crate) fn names(&self, role: Role) -> Vec<&'static str> {
        let elements = self.elements.iter().filter(|element| element.role == role);
        elements.map(|element| element.name).collect()
    }
}

fn parameter((name, kind, default): &(&str, Type, Otherwise)) -> Parameter {
    Parameter {
        line: 0,
        name: (*name).to_owned(),
        kind: match kind {
            Text => ParameterKind::Text,
            Boolean => ParameterKind::Boolean,
            Integer => ParameterKind::Integer,
            Steps => ParameterKind::Steps,
            Executor => ParameterKind::Executor,
            Enum(values) => ParameterKind::Enum(values.iter().map(|&value| value.to_owned()).collect()),
        },
        default: match default {
            Needed => None,
            Words(text) => Some(Node::text(0, *text)),
            Truth(value) => Some(Node::of(0, Kind::Boolean(*value))),
            Number(value) => Some(Node::of(0, Kind::Integer(*value))),
        },
    }
}

#[rustfmt::skip] // a row for each parameter
const ORBS: &[Orb] = &[
    Orb {
        name: "circleci/aws-cli",
        version: "5.4.1",
        elements: &[
            Element {
                role: Role::Command,
                name: "setup",
                parameters: &[
                    ("version", Text, Words("latest")),
                    ("override_installed", Boolean, Truth(false)),
                    ("disable_aws_pager", Boolean, Truth(true)),
                    ("install_dir", Text, Words("/usr/local/aws-cli")),
                    ("binary_dir", Text, Words("/usr/local/bin")),
                    ("profile_name", Text, Words("default")),
                    ("aws_access_key_id", Text, Words("$AWS_ACCESS_KEY_ID")),
                    ("aws_secret_access_key", Text, Words("$AWS_SECRET_ACCESS_KEY")),
                    ("region", Text, Words("${AWS_DEFAULT_REGION}")),
                    ("configure_default_region", Boolean, Truth(true)),
                    ("configure_profile_region", Boolean, Truth(true)),
                    ("role_arn", Text, Words("")),
                    ("role_session_name", Text, Words("${CIRCLE_JOB}")),
                    ("session_duration", Text, Words("3600")),
                    ("set_aws_env_vars", Boolean, Truth(true)),
                    ("use_brew", Boolean, Truth(false)),
                    ("disable_aws_install", Boolean, Truth(false)),
                    ("when", Enum(&["on_success", "on_fail", "always"]), Words("on_success")),
                ],
            },
            Element {
                role: Role::Command,
                name: "install",
                parameters: &[
                    ("version", Text, Words("latest")),
                    ("override_installed", Boolean, Truth(false)),
                    ("disable_aws_pager", Boolean, Truth(true)),
                    ("install_dir", Text, Words("/usr/local/aws-cli")),
                    ("binary_dir", Text, Words("/usr/local/bin")),
                    ("use_brew", Boolean, Truth(false)),
                    ("when", Enum(&["on_success", "on_fail", "always"]), Words("on_success")),
                ],
            },
        ],
    },
    Orb {
        name: "circleci/aws-ecr",
        version: "9.8.1",
        elements: &[
            Element {
                role: Role::Command,
                name: "ecr_login",
                parameters: &[
                    ("account_id", Text, Words("${AWS_ACCOUNT_ID}")),
                    ("region", Text, Words("${AWS_DEFAULT_REGION}")),
                    ("profile_name", Text, Words("default")),
                    ("public_registry", Boolean, Truth(false)),
                    ("aws_domain", Text, Words("amazonaws.com")),
                    ("use_credentials_helper", Boolean, Truth(true)),
                ],
            },
            Element {
                role: Role::Command,
                name: "build_image",
                parameters: &[
                    ("account_id", Text, Words("${AWS_ACCOUNT_ID}")),
                    ("repo", Text, Needed),
                    ("tag", Text, Words("latest")),
                    ("dockerfile", Text, Words("Dockerfile")),
                    ("path", Text, Words(".")),
                    ("build_path", Text, Words(".")),
                    ("no_output_timeout", Text, Words("10m")),
                    ("extra_build_args", Text, Words("")),
                    ("skip_when_tags_exist", Boolean, Truth(false)),
                    ("region", Text, Words("${AWS_DEFAULT_REGION}")),
                    ("profile_name", Text, Words("default")),
                    ("public_registry", Boolean, Truth(false)),
                    ("platform", Text, Words("linux/amd64")),
                    ("public_registry_alias", Text, Words("${AWS_ECR_PUBLIC_REGISTRY_ALIAS}")),
                    ("push_image", Boolean, Truth(true)),
                    ("lifecycle_policy_path", Text, Words("")),
                    ("aws_domain", Text, Words("amazonaws.com")),
                    ("binfmt_version", Text, Words("qemu-v7.0.0-28")),
                ],
            },
            Element {
                role: Role::Command,
                name: "push_image",
                parameters: &[
                    ("account_id", Text, Words("${AWS_ACCOUNT_ID}")),
                    ("region", Text, Words("${AWS_DEFAULT_REGION}")),
                    ("repo", Text, Needed),
                    ("tag", Text, Words("latest")),
                    ("public_registry", Boolean, Truth(false)),
                    ("public_registry_alias", Text, Words("${AWS_ECR_PUBLIC_REGISTRY_ALIAS}")),
                    ("aws_domain", Text, Words("amazonaws.com")),
                ],
            },
        ],
    },
    Orb {
        name: "circleci/aws-ecs",
        version: "8.0.0",
        elements: &[
            Element {
                role: Role::Job,
                name: "deploy_service_update",
                parameters: &[
                    ("region", Text, Words("${AWS_DEFAULT_REGION}")),
                    ("profile_name", Text, Words("default")),
                    ("family", Text, Needed),
                    ("cluster", Text, Needed),
                    ("service_name", Text, Words("")),
                    ("deployment_controller", Enum(&["ECS", "CODE_DEPLOY"]), Words("ECS")),
                    ("codedeploy_application_name", Text, Words("")),
                    ("codedeploy_deployment_group_name", Text, Words("")),
                    ("codedeploy_load_balanced_container_name", Text, Words("")),
                    ("codedeploy_load_balanced_container_port", Text, Words("80")),
                    ("container_image_name_updates", Text, Words("")),
                    ("container_env_var_updates", Text, Words("")),
                    ("container_secret_updates", Text, Words("")),
                    ("container_docker_label_updates", Text, Words("")),
                    ("force_new_deployment", Boolean, Truth(false)),
                    ("enable_circuit_breaker", Boolean, Truth(false)),
                    ("verify_revision_is_deployed", Boolean, Truth(false)),
                    ("verification_timeout", Text, Words("10m")),
                    ("max_poll_attempts", Integer, Number(50)),
                    ("poll_interval", Integer, Number(20)),
                    ("fail_on_verification_timeout", Boolean, Truth(true)),
                    ("skip_task_definition_registration", Boolean, Truth(false)),
                    ("task_definition_tags", Text, Words("")),
                    ("codedeploy_capacity_provider_name", Text, Words("")),
                    ("codedeploy_capacity_provider_base", Text, Words("")),
                    ("codedeploy_capacity_provider_weight", Text, Words("")),
                    ("deployment_config_name", Text, Words("")),
                    ("auth", Steps, Needed),
                    ("executor", Executor, Words("default")),
                    ("create_service", Boolean, Truth(false)),
                    ("desired_count", Text, Words("")),
                    ("subnets", Text, Words("")),
                    ("security_groups", Text, Words("")),
                    ("public_ip", Enum(&["ENABLED", "DISABLED"]), Words("DISABLED")),
                    ("target_group", Text, Words("")),
                    ("container_name", Text, Words("")),
                    ("container_port", Text, Words("")),
                ],
            },
            Element {
                role: Role::Command,
                name: "update_service",
                parameters: &[
                    ("region", Text, Words("$AWS_DEFAULT_REGION")),
                    ("family", Text, Needed),
                    ("cluster", Text, Needed),
                    ("service_name", Text, Words("")),
                    ("deployment_controller", Enum(&["ECS", "CODE_DEPLOY"]), Words("ECS")),
                    ("codedeploy_application_name", Text, Words("")),
                    ("codedeploy_deployment_group_name", Text, Words("")),
                    ("codedeploy_load_balanced_container_name", Text, Words("")),
                    ("codedeploy_load_balanced_container_port", Text, Words("80")),
                    ("container_image_name_updates", Text, Words("")),
                    ("container_env_var_updates", Text, Words("")),
                    ("container_secret_updates", Text, Words("")),
                    ("container_docker_label_updates", Text, Words("")),
                    ("force_new_deployment", Boolean, Truth(false)),
                    ("enable_circuit_breaker", Boolean, Truth(false)),
                    ("verify_revision_is_deployed", Boolean, Truth(false)),
                    ("verification_timeout", Text, Words("10m")),
                    ("max_poll_attempts", Integer, Number(50)),
                    ("poll_interval", Integer, Number(20)),
                    ("fail_on_verification_timeout", Boolean, Truth(true)),
                    ("skip_task_definition_registration", Boolean, Truth(false)),
                    ("task_definition_tags", Text, Words("")),
                    ("profile_name", Text, Words("default")),
                    ("previous_revision_number", Text, Words("")),
                    ("codedeploy_capacity_provider_name", Text, Words("")),
                    ("codedeploy_capacity_provider_base", Text, Words("")),
                    ("codedeploy_capacity_provider_weight", Text, Words("")),
                    ("deployment_config_name", Text, Words("")),
                    ("create_service", Boolean, Truth(false)),
                    ("desired_count", Text, Words("")),
                    ("subnets", Text, Words("")),
                    ("security_groups", Text, Words("")),
                    ("public_ip", Enum(&["ENABLED", "DISABLED"]), Words("DISABLED")),
                    ("target_group", Text, Words("")),
                    ("container_name", Text, Words("")),
                    ("container_port", Text, Words("")),
                    ("extra_command_label", Text, Words("")),
                ],
            },
            Element {
                role: Role::Command,
                name: "verify_revision_is_deployed",
                parameters: &[
                    ("family", Text, Needed),
                    ("cluster", Text, Needed),
                    ("service_name", Text, Words("")),
                    ("task_definition_arn", Text, Needed),
                    ("max_poll_attempts", Integer, Number(50)),
                    ("poll_interval", Integer, Number(20)),
                    ("fail_on_verification_timeout", Boolean, Truth(true)),
                    ("profile_name", Text, Words("default")),
                    ("region", Text, Words("$AWS_DEFAULT_REGION")),
                    ("extra_command_label", Text, Words("")),
                ],
            },
        ],
    },];
