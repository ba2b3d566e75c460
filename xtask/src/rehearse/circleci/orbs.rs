//! What stands in for the orbs' steps and for the orb's job: the same calls, without the orb.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::super::ecs::Service;
use super::super::fault::Fault;
use super::super::stand_ins::StandIn;
use super::{ORGANISATION, PROJECT, Pipeline, Place, USER};

/// How long the orb's job polls.
const DEPLOYMENT_LIMIT: Duration = Duration::from_mins(15);

impl Pipeline<'_> {
    /// Does what an orb's step would have done.
    pub(super) fn stand_in(
        &self,
        stand_in: StandIn,
        parameters: &BTreeMap<String, String>,
        place: &Place,
    ) -> Result<()> {
        let mut variables = place.variables.clone();
        let script = match stand_in {
            StandIn::AssumeRole => {
                let role = parameters
                    .get("role_arn")
                    .context("aws-cli/setup has no role_arn")?;
                variables.insert("ROLE".to_owned(), self.fill(role, place)?);
                variables.insert(
                    "KEY".to_owned(),
                    self.run.rehearsal.session.oidc_key().display().to_string(),
                );
                variables.insert("CLAIMS".to_owned(), claims());
                ASSUME_ROLE
            }
            StandIn::PublicLogin => PUBLIC_LOGIN,
            other => bail!("{other:?} stands in for no step"),
        };
        self.shell(script, &place.project, &variables, place)
    }

    /// The command of the tests with the one step that takes seconds. What it compiles stays, for the next rehearsal.
    pub(super) fn quickest_test(&self, command: &str) -> String {
        let folder = self.run.rehearsal.workspace.target.join("rehearsed-tests");
        let folder = folder.display().to_string().replace('\'', r"'\''");
        format!(
            "mkdir -p '{folder}' && ln -s '{folder}' target && {} fmt",
            command.trim_end()
        )
    }

    /// A parameter of an orb, which fills in variables and runs no commands.
    fn fill(&self, text: &str, place: &Place) -> Result<String> {
        ensure!(
            !text.contains("$("),
            "an orb's parameter runs no commands: {text}"
        );
        let output = self.run.folder.join("filled");
        let mut variables = place.variables.clone();
        variables.insert("TEXT".to_owned(), text.to_owned());
        variables.insert("OUTPUT".to_owned(), output.display().to_string());
        self.shell(
            r#"eval "printf '%s' \"$TEXT\"" > "$OUTPUT""#,
            &place.project,
            &variables,
            place,
        )?;
        fs::read_to_string(&output).context("a parameter could not be filled in")
    }

    /// An answer of the command line of AWS, with the credentials that the job has taken.
    fn aws(&self, words: &[&str], place: &Place) -> Result<serde_json::Value> {
        let output = self.run.folder.join("answer");
        let mut variables = place.variables.clone();
        variables.insert("WORDS".to_owned(), words.join("\n"));
        variables.insert("OUTPUT".to_owned(), output.display().to_string());
        self.shell(AWS, &place.project, &variables, place)?;
        let answer = fs::read(&output).context("there is no answer")?;
        serde_json::from_slice(&answer)
            .with_context(|| format!("`aws {}` did not answer in JSON", words.join(" ")))
    }

    /// `aws-ecs/deploy_service_update`: from the latest revision of the family, which need not be the one that runs.
    pub(super) fn deploy(&self, parameters: &BTreeMap<String, String>, place: &Place) -> Result<()> {
        let parameter = |name: &str| -> Result<String> {
            self.fill(
                parameters
                    .get(name)
                    .with_context(|| format!("no parameter {name}"))?,
                place,
            )
        };
        let (cluster, family, name) = (
            parameter("cluster")?,
            parameter("family")?,
            parameter("service_name")?,
        );
        let aws = |words: &[&str]| self.aws(words, place);
        let service = Service {
            aws: &aws,
            cluster: &cluster,
            name: &name,
        };
        let images = images(&parameter("container_image_name_updates")?)?;
        let revision = service.register(&family, &images)?;
        service.update(&revision)?;
        println!("  {revision}");
        if self.run.fault.is_some_and(Fault::hides_roll_backs) {
            return Ok(());
        }
        service.wait(&revision, DEPLOYMENT_LIMIT)
    }
}

/// `container=NAME,image-and-tag=IMAGE`, as often as there are containers.
fn images(updates: &str) -> Result<Vec<(String, String)>> {
    let update = |update: &str| {
        let (container, image) = update.split_once(",image-and-tag=")?;
        Some((container.to_owned(), image.trim_end_matches(',').to_owned()))
    };
    let updates = updates.split("container=").filter(|part| !part.is_empty());
    updates
        .map(|part| {
            update(part).with_context(|| format!("`{part}` is not container=NAME,image-and-tag=IMAGE"))
        })
        .collect()
}

/// What CircleCI tells of a job in its token.
fn claims() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    json!({
        "iss": format!("https://oidc.circleci.com/org/{ORGANISATION}"),
        "aud": ORGANISATION,
        "sub": format!(
            "org/{ORGANISATION}/project/{PROJECT}/user/{USER}/vcs-origin/github.com/example/bifora/vcs-ref/refs/heads/main"
        ),
        "iat": now,
        "exp": now + 3600,
    })
    .to_string()
}

/// A token, signed by the issuer that is played here, for the role's credentials; exported for the steps that follow.
const ASSUME_ROLE: &str = r#"
encode() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
content="$(printf '{"alg":"RS256","typ":"JWT"}' | encode).$(printf '%s' "$CLAIMS" | encode)"
token="$content.$(printf '%s' "$content" | openssl dgst -sha256 -sign "$KEY" | encode)"
credentials=$(aws sts assume-role-with-web-identity --role-arn "$ROLE" --role-session-name rehearsal \
  --web-identity-token "$token" --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)
read -r id secret session <<<"$credentials"
echo "export AWS_ACCESS_KEY_ID=$id AWS_SECRET_ACCESS_KEY=$secret AWS_SESSION_TOKEN=$session" >> "$BASH_ENV"
"#;

const AWS: &str = r#"mapfile -t words <<< "$WORDS" && aws "${words[@]}" --output json > "$OUTPUT""#;

const PUBLIC_LOGIN: &str = "aws ecr-public get-login-password --region us-east-1 | docker login --username AWS --password-stdin public.ecr.aws";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_containers_are_taken_apart() {
        let one = images("container=bifora,image-and-tag=r/b:1@sha256:ab").expect("of the right form");
        assert_eq!(one, [("bifora".to_owned(), "r/b:1@sha256:ab".to_owned())]);
        let two =
            images("container=a,image-and-tag=x:1,container=b,image-and-tag=y:2").expect("of the right form");
        assert_eq!(two.len(), 2);
        assert_eq!(two[0].1, "x:1");
        images("container=a,tag=1").expect_err("on an image by digest a tag alone is a trap");
    }
}
