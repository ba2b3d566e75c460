//! The lint against the real files: these have no mistakes, and each mistake that somebody could make in them is caught.

use crate::pipeline::lint::{
    CIRCLECI, CIRCLECI_ROLE, CODEPIPELINE, Finding, SERVICE, Source, Sources, check,
};
use crate::workspace::Workspace;

const BUILDSPEC: &str = "buildspec.yml";
const VERIFY: &str = "buildspec_verify.yml";
const MANIFEST: &str = "buildspec_manifest.yml";

/// In this file, the first of this text is replaced by that, and a finding says so.
struct Mutation {
    file: &'static str,
    text: &'static str,
    by: &'static str,
    says: &'static str,
}

const fn mutation(file: &'static str, text: &'static str, by: &'static str, says: &'static str) -> Mutation {
    Mutation { file, text, by, says }
}

#[rustfmt::skip] // a row for each mistake, as far as it fits
const MUTATIONS: &[Mutation] = &[
    // --- CircleCI: names that lead nowhere ---------------------------------------------------------------------------
    mutation(CIRCLECI, "      - test:\n", "      - tset:\n", "undefined job `tset`"),
    mutation(CIRCLECI, "            - Test amd64 image\n", "            - Test x86 image\n", "requires the undefined job `Test x86 image`"),
    mutation(CIRCLECI, "  test:\n    executor: amd64", "  test:\n    executor: amd46", "undefined executor `amd46`"),
    mutation(CIRCLECI, "architecture: [amd64, arm64]", "architecture: [amd64, arm46]", "undefined executor `arm46`"),
    mutation(CIRCLECI, "      - ecr-login\n", "      - erc-login\n", "undefined command `erc-login`"),
    mutation(CIRCLECI, "<< pipeline.parameters.cluster >>", "<< pipeline.parameters.clutser >>", "undefined parameter `clutser` of the pipeline"),
    mutation(CIRCLECI, "executor: << parameters.architecture >>", "executor: << parameters.arch >>", "undefined parameter `arch`"),
    mutation(CIRCLECI, "Build << matrix.architecture >> image", "Build << matrix.arch >> image", "undefined parameter `arch` of the matrix"),
    mutation(CIRCLECI, "<< pipeline.git.commit.url >>", "<< pipeline.git.commit.link >>", "there is no pipeline value pipeline.git.commit.link"),
    mutation(CIRCLECI, "<< pipeline.trigger.type >>", "<< pipeline.trigger_source >>", "pipeline.trigger_source is out of support"),
    mutation(CIRCLECI, "pipeline.git.branch == \"main\"", "pipeline.git.brnach == \"main\"", "there is no pipeline value pipeline.git.brnach"),
    // --- CircleCI: orbs ----------------------------------------------------------------------------------------------
    mutation(CIRCLECI, "aws-cli/setup:", "aws-cil/setup:", "undefined orb `aws-cil`"),
    mutation(CIRCLECI, "aws-cli/setup:", "aws-cli/set-up:", "has no command `set-up`"),
    mutation(CIRCLECI, "aws-ecs/deploy_service_update:", "aws-ecs/deploy_service:", "has no job `deploy_service`"),
    mutation(CIRCLECI, "aws-ecs: circleci/aws-ecs@8.0.0", "aws-ecs: circleci/aws-ecs@7.0.0", "its parameters are known of 8.0.0"),
    mutation(CIRCLECI, "          max_poll_attempts: 65", "          max_attempts: 65", "has no parameter `max_attempts`"),
    mutation(CIRCLECI, "          max_poll_attempts: 65", "          max_poll_attempts: \"65\"", "has to be a number"),
    mutation(CIRCLECI, "          family: << pipeline.parameters.family-amd64 >>\n", "", "needs the parameter `family`"),
    mutation(CIRCLECI, "          public_registry: true", "          public_registry: \"true\"", "has to be true or false"),
    mutation(CIRCLECI, "          public_registry: true", "          public_registry: false", "logs in to private ECR"),
    mutation(CIRCLECI, "          role_arn: ", "          role_session_name: ", "has to take a role"),
    mutation(CIRCLECI, "ci/service-url.sh \"$STACK\"", "ci/service-url.sh << pipeline.parameters.stack >>", "would run whatever the parameter `stack` says"),
    mutation(CIRCLECI, "          command: ci/as-root.sh cargo xtask test --yes", "          command: cargo xtask test --yes", "runs the tests without root"),
    // --- CircleCI: keys and parameters of our own --------------------------------------------------------------------
    mutation(CIRCLECI, "      - persist_to_workspace:", "      - persist-to-workspace:", "undefined command `persist-to-workspace`"),
    mutation(CIRCLECI, "          when: always", "          when: allways", "and is `allways`"),
    mutation(CIRCLECI, "          serial-group: ", "          serial_group: ", "`serial_group` is no key"),
    mutation(CIRCLECI, "            parameters:\n              architecture:", "            parameters:\n              platform: [a]\n              architecture:", "has no such parameter"),
    mutation(CIRCLECI, "      - publish:\n          name: Publish amd64 image\n          architecture: amd64\n", "      - publish:\n          name: Publish amd64 image\n", "needs the parameter `architecture`"),
    mutation(CIRCLECI, "  test:\n    executor: amd64\n", "  test:\n    executor: amd64\n    executor: arm64\n", "the key `executor` stands twice"),
    // --- CircleCI: what nobody uses ----------------------------------------------------------------------------------
    mutation(CIRCLECI, "parameters:\n", "parameters:\n  extra:\n    type: string\n    default: ''\n", "unused parameter `extra` of the pipeline"),
    mutation(CIRCLECI, "executors:\n", "executors:\n  extra:\n    machine:\n      image: ubuntu-2404:2025.09.1\n", "unused executor `extra`"),
    mutation(CIRCLECI, "commands:\n", "commands:\n  extra:\n    steps: [checkout]\n", "unused command `extra`"),
    mutation(CIRCLECI, "\njobs:\n", "\njobs:\n  extra:\n    executor: amd64\n    steps: [checkout]\n", "unused job `extra`"),
    mutation(CIRCLECI, "  ecr-login:\n", "  ecr-login:\n    parameters:\n      extra:\n        type: string\n        default: ''\n", "unused parameter `extra` of `ecr-login`"),
    mutation(CIRCLECI, "orbs:\n", "orbs:\n  other: circleci/aws-ecs@8.0.0\n", "unused orb `other`"),
    // --- CircleCI: jobs among each other -----------------------------------------------------------------------------
    mutation(CIRCLECI, "      - test:\n          name: Test\n", "      - test:\n          name: Test\n          requires:\n            - Build amd64 image\n", "wait for each other in a circle"),
    mutation(CIRCLECI, "          name: Deploy arm64\n", "          name: Deploy amd64\n", "two jobs are called `Deploy amd64`"),
    mutation(CIRCLECI, "      - test:\n          name: Test\n", "      - test:\n          name: Test\n          filters: pipeline.git.branch != \"main\"\n", "requires `Test`, which does not run on the same branches"),
    mutation(CIRCLECI, "          filters: pipeline.git.branch == \"main\"\n", "", "is not restricted to the branch main"),
    mutation(CIRCLECI, "pipeline.git.branch == \"main\"", "pipeline.git.branch == \"master\"", "nothing is deployed on the branch main"),
    mutation(CIRCLECI, "            - Test amd64 image\n", "", "does not wait for `Test amd64 image`"),
    mutation(CIRCLECI, "            - Publish arm64 image\n", "", "does not wait for `Publish arm64 image`"),
    mutation(CIRCLECI, "            - Deploy arm64\n", "", "does not wait for `Deploy arm64`"),
    mutation(CIRCLECI, "          serial-group: << pipeline.project.slug >>/release\n", "", "is in no serial group"),
    // --- CircleCI: workspace, machines, commands ---------------------------------------------------------------------
    mutation(CIRCLECI, "      - persist_to_workspace:\n          root: target\n          paths:\n            - published\n", "", "reads target/published/image, which no job before it persists"),
    mutation(CIRCLECI, "      - persist_to_workspace:\n          root: target\n          paths:\n            - images\n", "", "attaches a workspace that no job before it persists to"),
    mutation(CIRCLECI, "            - images\n", "            - pictures\n", "persists target/pictures, and none of its commands makes that"),
    mutation(CIRCLECI, "    resource_class: arm.large", "    resource_class: large", "has ARCHITECTURE=arm64 and the resource class large"),
    mutation(CIRCLECI, "      image: ubuntu-2404:2025.09.1", "      image: ubuntu-2404:current", "is another one tomorrow"),
    mutation(CIRCLECI, "    machine:\n      image: ubuntu-2404:2025.09.1\n", "    docker:\n      - image: cimg/base:2025.09\n", "needs a machine"),
    mutation(CIRCLECI, "ci/build-image.sh \"$ARCHITECTURE\"", "ci/build-picture.sh \"$ARCHITECTURE\"", "there is no ci/build-picture.sh"),
    mutation(CIRCLECI, "--commit \"$CIRCLE_SHA1\"", "--revision \"$CIRCLE_SHA1\"", "ci/test-image.sh has no option --revision"),
    mutation(CIRCLECI, "      ARCHITECTURE: arm64", "      ARCH: arm64", "nothing sets the variable ARCHITECTURE in `Build arm64 image`"),
    mutation(CIRCLECI, "$CIRCLE_SHA1-$ARCHITECTURE", "$CIRCLE_REPOSITORY_URL-$ARCHITECTURE", "nothing sets the variable CIRCLE_REPOSITORY_URL"),
    mutation(CIRCLECI, "export DEPLOY_IMAGE=", "export DEPLOYED_IMAGE=", "nothing sets the variable DEPLOY_IMAGE in `Deploy amd64`"),
    mutation(CIRCLECI, "AWS_DEFAULT_REGION AWS_ECR", "AWS_PROFILE AWS_ECR", "nothing sets the variable AWS_PROFILE"),
    mutation(CIRCLECI, "  publish-manifest:\n    executor: amd64\n    steps:\n      - checkout\n", "  publish-manifest:\n    executor: amd64\n    steps:\n", "without a checkout before"),
    mutation(CIRCLECI, "          command: ci/install-rust.sh", "          command: cat <<EOF", "has to be \\<<"),
    // --- CircleCI: traps of deploying --------------------------------------------------------------------------------
    mutation(CIRCLECI, "          verify_revision_is_deployed: true\n", "", "without verify_revision_is_deployed"),
    mutation(CIRCLECI, "          enable_circuit_breaker: true\n", "", "without enable_circuit_breaker"),
    mutation(CIRCLECI, "image-and-tag=", "tag=", "tag= takes the digest off"),
    mutation(CIRCLECI, "image-and-tag=${DEPLOY_IMAGE}", "image-and-tag=$(cat target/published/image)", "no commands run"),
    mutation(CIRCLECI, "          auth:\n            - deploy-login\n", "          auth:\n            - checkout\n", "does not take a role"),
    mutation(CIRCLECI, "          role_arn: ", "          aws_access_key_id: $AWS_ACCESS_KEY_ID\n          role_arn: ", "no static keys"),
    mutation(CIRCLECI, "      ARCHITECTURE: amd64", "      ARCHITECTURE: amd64\n      KEY: AKIAIOSFODNN7EXAMPLE", "no static keys"),
    mutation(CIRCLECI, "          container_image_name_updates: container=<< pipeline.parameters.container >>,image-and-tag=${DEPLOY_IMAGE}\n", "", "the image that runs is deployed again"),
    mutation(CIRCLECI, "      - ecr-login\n      - run:\n          name: Push the image", "      - aws-login\n      - run:\n          name: Push the image", "publishes without a login"),
    mutation(CIRCLECI, "          command: ci/test-image.sh", "          command: docker inspect", "publishes what no job before it has tested"),
    mutation(CIRCLECI, "            CIRCLE_COMMIT_URL:", "            COMMIT_URL:", "does not tell the image CIRCLE_COMMIT_URL"),
    mutation(CIRCLECI, "            image=$(cat target/published/image)\n", "", "nothing sets the variable image in `Deploy amd64`"),
    mutation(CIRCLECI, "\"$CIRCLE_SHA1-$ARCHITECTURE\"\n", "\n", "ci/push-image.sh is given another number of words (2)"),
    // --- CircleCI and the templates ----------------------------------------------------------------------------------
    mutation(CIRCLECI, "    default: bifora-circleci", "    default: circleci", "takes the role"),
    mutation(CIRCLECI, "    description: The repository on ECR Public\n    type: string\n    default: bifora", "    description: The repository on ECR Public\n    type: string\n    default: other", "uses the repository other"),
    mutation(CIRCLECI, "    description: The ECS cluster\n    type: string\n    default: bifora", "    description: The ECS cluster\n    type: string\n    default: other", "deploys to the cluster other"),
    mutation(CIRCLECI, "    description: The container in both task definitions\n    type: string\n    default: bifora", "    description: The container in both task definitions\n    type: string\n    default: other", "changes the container other"),
    mutation(CIRCLECI, "service_name: << pipeline.parameters.service-arm64 >>", "service_name: << pipeline.parameters.service-amd64 >>", "the service bifora-arm of infra/cloudformation/service.yml is not deployed"),
    mutation(CIRCLECI, "family: << pipeline.parameters.family-arm64 >>", "family: << pipeline.parameters.family-amd64 >>", "deploys the family bifora-amd"),
    mutation("ci/service-url.sh", "OutputKey=='Url'", "OutputKey=='URL'", "asks for the output URL"),
    mutation(CIRCLECI, "\"$CIRCLE_SHA1\" amd64 arm64 --also", "\"$CIRCLE_SHA1\" amd64 arm64v8 --also", "are joined, and pushed before are"),
    mutation(CIRCLECI_ROLE, "ecr-public:PutImage", "ecr-public:PutImages", "does not allow ecr-public:PutImage"),
    mutation(CIRCLECI_ROLE, "cloudformation:DescribeStacks", "cloudformation:ListStacks", "does not allow cloudformation:DescribeStacks"),
    mutation(CIRCLECI_ROLE, "                Action: ecs:TagResource", "                Action: ecs:UntagResource", "does not allow ecs:TagResource"),
    mutation(CIRCLECI_ROLE, "iam:PassRole", "iam:GetRole", "does not allow iam:PassRole"),
    mutation(CIRCLECI_ROLE, "    Default: bifora-task-execution", "    Default: task-execution", "ECSTaskExecutionRole is `task-execution` by default"),
    mutation(SERVICE, "      Family: !Sub ${ClusterName}-arm", "      Family: !Sub ${ClusterName}-graviton", "has bifora-graviton"),
    mutation(SERVICE, "      ServiceName: !Sub ${ClusterName}-arm", "      ServiceName: !Sub ${ClusterName}-graviton", "makes bifora-amd, bifora-graviton"),
    // --- Buildspecs --------------------------------------------------------------------------------------------------
    mutation(BUILDSPEC, "  pre_build:", "  prebuild:", "`prebuild` is no key"),
    mutation(BUILDSPEC, "    commands:", "    command:", "`command` is no key"),
    mutation(BUILDSPEC, "version: 0.2", "version: 0.1", "the version has to be 0.2"),
    mutation(BUILDSPEC, "    on-failure: ABORT\n", "", "has no on-failure: ABORT"),
    mutation(BUILDSPEC, "  build:\n", "  post_build:\n", "post_build runs after a failed build"),
    mutation(BUILDSPEC, "IMG_SUFFIX_ARCH SERVICE_PORT", "IMG_SUFFIX_ARCH SERVICE_POTR", "nothing sets the variable SERVICE_POTR"),
    mutation(BUILDSPEC, "ci/push-image.sh", "ci/push.sh", "there is no ci/push.sh"),
    mutation(BUILDSPEC, "  shell: bash", "  shell: sh", "this is bash"),
    mutation(BUILDSPEC, "      - ci/ecr-login.sh \"$REPO_URL\"\n", "", "without a login to the registry"),
    mutation(BUILDSPEC, "ci/test-image.sh bifora:build", "docker inspect bifora:build", "that nobody has tested"),
    mutation(BUILDSPEC, "ci/build-image.sh \"$IMG_SUFFIX_ARCH\" ", "ci/build-image.sh ", "ci/build-image.sh is given another number of words (1)"),
    mutation(BUILDSPEC, "--port ", "--prot ", "ci/test-image.sh has no option --prot"),
    mutation(BUILDSPEC, "  shell: bash", "  shell: bash\n  exported-variables: [AWS_IMAGE]", "must not begin with AWS_"),
    mutation(MANIFEST, "    - imagedefinition.json", "    - imagedefinitions.json", "no command makes the artifact imagedefinitions.json"),
    mutation(MANIFEST, "imagedefinition.json", "imagedefinitions.json", "no command makes the artifact imagedefinition.json"),
    mutation(MANIFEST, "artifacts:\n  files:\n    - imagedefinition.json\n    - bifora-lock.json\n    - bifora\n", "", "and the buildspec has no artifacts"),
    mutation(MANIFEST, "amd64 arm64v8", "amd64 arm64", "are joined, and pushed before are"),
    mutation(VERIFY, "CODEBUILD_SRC_DIR_BuildArtifact_app\"", "CODEBUILD_SRC_DIR_BuildArtifact\"", "nothing sets the variable CODEBUILD_SRC_DIR_BuildArtifact"),
    mutation(VERIFY, "    file-format: JUNITXML", "    file-format: CUCUMBERJSON", "only reports in JUNITXML"),
    mutation(VERIFY, "    files:\n      - target/junit/verify.xml\n", "", "has no files"),
    // --- CodePipeline ------------------------------------------------------------------------------------------------
    mutation(CODEPIPELINE, "                PrimarySource: SourceArtifact\n", "", "PrimarySource has to say"),
    mutation(CODEPIPELINE, "                  - codebuild:CreateReportGroup\n", "", "does not allow codebuild:CreateReportGroup"),
    mutation(CODEPIPELINE, "              InputArtifacts: [{Name: SourceArtifact}]\n", "", "Build_app_amd64 has no input artefact"),
    mutation(CODEPIPELINE, "InputArtifacts: [{Name: BuildArtifact_app}]", "InputArtifacts: [{Name: BuildArtifact}]", "reads the artefact BuildArtifact, which no action before it makes"),
    mutation(CODEPIPELINE, "                OutputArtifacts: [{Name: SourceArtifact}]\n", "", "the action Source has no output artefact"),
    mutation(CODEPIPELINE, "OutputArtifacts: [{Name: BuildArtifact_app}]", "OutputArtifacts: [{Name: BuildArtifact_app}, {Name: Other}]", "makes the artefact Other, which no action reads"),
    mutation(CODEPIPELINE, "            - Name: Build_app_arm64", "            - Name: Build_app_amd64", "two actions are called Build_app_amd64"),
    mutation(CODEPIPELINE, "        - Name: Build_manifest\n          Actions:", "        - Name: Build_image\n          Actions:", "two stages are called Build_image"),
    mutation(CODEPIPELINE, "ProjectName: !Ref ImageProjectArm64", "ProjectName: bifora-arm", "starts the project `bifora-arm`, which does not exist"),
    mutation(CODEPIPELINE, "ProjectName: !Ref ImageProjectArm64", "ProjectName: !Ref ImageProjectAmd64", "no action starts the project `bifora-arm64`"),
    mutation(CODEPIPELINE, "ProjectName: !Ref ImageProjectArm64", "ProjectName: !Ref ImageProjectArm", "undefined reference `ImageProjectArm`"),
    mutation(CODEPIPELINE, "Value: arm64v8}", "Value: arm64}", "IMG_SUFFIX_ARCH is arm64"),
    mutation(CODEPIPELINE, "        Type: ARM_CONTAINER", "        Type: LINUX_CONTAINER", "is of the type LINUX_CONTAINER, and IMG_SUFFIX_ARCH is arm64v8"),
    mutation(CODEPIPELINE, "amazonlinux-aarch64-standard:3.0", "amazonlinux-x86_64-standard:5.0", "is of the type ARM_CONTAINER, and has the image"),
    mutation(CODEPIPELINE, "        PrivilegedMode: true", "        PrivilegedMode: false", "and so PrivilegedMode"),
    mutation(CODEPIPELINE, "BuildSpec: buildspec_manifest.yml", "BuildSpec: buildspec-manifest.yml", "there is no such file"),
    mutation(CODEPIPELINE, "          - {Name: SERVICE_PORT, Value: '8080'}\n", "", "nothing sets the variable SERVICE_PORT in the project bifora-amd64"),
    mutation(CODEPIPELINE, "                FileName: imagedefinition.json\n", "", "reads imagedefinitions.json, and BuildArtifact_app has imagedefinition.json"),
    mutation(CODEPIPELINE, "DeploymentTimeout: '15'", "DeploymentTimeout: '90'", "it has to be 1 to 60 minutes"),
    mutation(CODEPIPELINE, "                ServiceName: !Sub ${ClusterName}-arm", "                ServiceName: !Sub ${ClusterName}-arm64", "deploys the service bifora-arm64"),
    mutation(CODEPIPELINE, "          OnFailure: {Result: ROLLBACK}\n", "", "no OnFailure: ROLLBACK"),
    mutation(CODEPIPELINE, "#{SourceVariables.CommitId}", "#{SourceVariable.CommitId}", "no action before it has the namespace SourceVariable"),
    mutation(CODEPIPELINE, "\"${RepositoryOwner}/${SourceRepositoryName}\"}", "\"#{SourceVariables.FullRepositoryName}\"}", "a source of this kind has"),
    mutation(CODEPIPELINE, "#{SourceVariables.AuthorDate}", "#{SourceVariables.CommitMessage}", "breaks the JSON"),
    mutation(CODEPIPELINE, "\"#{SourceVariables.CommitId}\"},", "\"#{SourceVariables.CommitId}\"}", "EnvironmentVariables is not what it has to be"),
    mutation(CODEPIPELINE, "  ContainerName:\n    Description: The container, in both task definitions\n    Type: String\n    Default: bifora", "  ContainerName:\n    Description: The container, in both task definitions\n    Type: String\n    Default: other", "ContainerName is `other` by default"),
    mutation(CODEPIPELINE, "\"CODEPIPELINE_BRANCH_NAME\"", "\"BRANCH_NAME\"", "does not tell the image CODEPIPELINE_BRANCH_NAME"),
    mutation(CODEPIPELINE, "                  Owner: !Ref RepositoryOwner\n", "", "the action Source has no Owner"),
    mutation(CODEPIPELINE, "Provider: ECS,", "Provider: CodeDeploy,", "the provider CodeDeploy"),
    mutation(CODEPIPELINE, "codebuild:StartBuild, ", "", "does not allow codebuild:StartBuild"),
    mutation(CODEPIPELINE, "ServiceRole: !GetAtt ManifestBuildRole.Arn", "ServiceRole: arn:aws:iam::123456789012:role/builder", "has the role arn:aws:iam::123456789012:role/builder"),
    mutation(CODEPIPELINE, "ecr:PutImage", "ecr:PutImages", "does not allow ecr:PutImage"),
    mutation(CODEPIPELINE, "!Ref DeployStage, disabled", "!Ref DeployStages, disabled", "undefined reference `DeployStages`"),
];

fn sources() -> Sources {
    Sources::read(&Workspace::find().expect("tests run in the repository").root)
}

fn replaced(source: &Source, text: &str, by: &str) -> Source {
    Source::new(source.text.replacen(text, by, 1), source.executable)
}

fn lines(findings: &[Finding]) -> String {
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn the_files_have_no_mistakes() {
    let findings = check(&sources());
    assert!(findings.is_empty(), "\n{}", lines(&findings));
}

#[test]
fn every_mistake_is_caught() {
    let sources = sources();
    // So that each mutation reads anew only what it changes.
    check(&sources);
    let mut missed = Vec::new();
    for Mutation { file, text, by, says } in MUTATIONS {
        let mut sources = sources.clone();
        let source = sources.files.get_mut(*file).expect("the file is there");
        if !source.text.contains(text) {
            missed.push(format!("{file} has no `{text}`"));
            continue;
        }
        *source = replaced(source, text, by);
        let findings = check(&sources);
        if !findings.iter().any(|finding| finding.what.contains(says)) {
            missed.push(format!(
                "`{text}` → `{by}` in {file} is not said to be `{says}`, but\n{}",
                lines(&findings)
            ));
        }
    }
    assert!(
        missed.is_empty(),
        "{} of {}:\n{}",
        missed.len(),
        MUTATIONS.len(),
        missed.join("\n\n")
    );
}

#[test]
fn scripts_have_to_be_executable_and_there() {
    for (change, says) in [
        (
            (|sources: &mut Sources| sources.files.get_mut("ci/verify.sh").expect("there").executable = false)
                as fn(&mut Sources),
            "ci/verify.sh is not executable",
        ),
        (
            |sources| drop(sources.files.remove("ci/verify.sh")),
            "there is no ci/verify.sh",
        ),
        (
            |sources| drop(sources.files.remove(CODEPIPELINE)),
            "there is no such file",
        ),
    ] {
        let mut sources = sources();
        change(&mut sources);
        let findings = check(&sources);
        assert!(
            findings.iter().any(|finding| finding.what.contains(says)),
            "{says}: {}",
            lines(&findings)
        );
    }
}

#[test]
fn findings_name_file_and_line() {
    let mut sources = sources();
    let source = sources.files.get_mut(CIRCLECI).expect("the file is there");
    *source = replaced(source, "      - test:\n", "      - tset:\n");
    let line = source
        .text
        .lines()
        .position(|line| line == "      - tset:")
        .expect("replaced")
        + 1;
    let findings = check(&sources);
    let finding = findings
        .iter()
        .find(|finding| finding.what.contains("tset"))
        .expect("found");
    assert_eq!(
        finding.to_string(),
        format!("{CIRCLECI}:{line}: undefined job `tset`")
    );
}
