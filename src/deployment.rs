//! Where this process is deployed: what ECS task metadata (version 4) says of the task and of our container.
//!
//! Source: the answers of `${ECS_CONTAINER_METADATA_URI_V4}` and `…/task` as the ECS developer guide lists them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::link::{self, Link};
use crate::text;

/// The facts of an ECS deployment; `null` is "not known".
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Deployment {
    /// How the facts were, or were not, had.
    pub status: Status,
    /// Why they could not be had, when they could not.
    pub reason: Option<String>,
    /// Name of the cluster.
    pub cluster: Option<String>,
    /// Name of the service.
    pub service: Option<String>,
    /// ARN of the task.
    pub task_arn: Option<String>,
    /// Family of the task definition.
    pub family: Option<String>,
    /// Revision of the task definition.
    pub revision: Option<String>,
    /// Availability zone.
    pub zone: Option<String>,
    /// `FARGATE` or `EC2`.
    pub launch_type: Option<String>,
    /// Name of our container.
    pub container: Option<String>,
    /// The image as the task definition names it.
    pub image: Option<String>,
    /// Digest of the image that runs.
    pub image_digest: Option<String>,
}

/// Whether task metadata is to be had.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not on ECS: `ECS_CONTAINER_METADATA_URI_V4` is not set.
    #[default]
    NotOnEcs,
    /// Asked, and not answered yet.
    Asking,
    /// The endpoint does not answer as it should; it is asked again.
    Unavailable,
    /// Known.
    Known,
}

impl Deployment {
    /// A deployment of which nothing is known, and why.
    pub fn unknown(status: Status) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// Reads the two answers of the metadata endpoint. A field that is missing or of another type is not known.
    pub fn from_metadata(container: &Value, task: &Value) -> Self {
        let task_field = |name: &str| field(task, name);
        Self {
            status: Status::Known,
            reason: None,
            cluster: task_field("Cluster").map(|c| last_part(&c)),
            service: task_field("ServiceName"),
            task_arn: task_field("TaskARN"),
            family: task_field("Family"),
            revision: task_field("Revision"),
            zone: task_field("AvailabilityZone"),
            launch_type: task_field("LaunchType"),
            container: field(container, "Name"),
            image: field(container, "Image"),
            image_digest: field(container, "ImageID").filter(|id| id.starts_with("sha256:")),
        }
    }

    /// The task's id, which is the last part of its ARN.
    pub fn task(&self) -> Option<String> {
        self.task_arn.as_deref().map(last_part)
    }

    /// The task's page in the console.
    pub fn task_link(&self) -> Option<Link> {
        let parts: Vec<_> = self.task_arn.as_deref()?.splitn(6, ':').collect();
        let ["arn", "aws", "ecs", region, _, _] = *parts else {
            return None;
        };
        let (cluster, task) = (self.cluster.as_deref()?, self.task()?);
        let valid = link::segment(cluster) && link::is_id(&task);
        valid.then(|| {
            Link::console(
                region,
                &format!("ecs/v2/clusters/{cluster}/tasks/{task}/configuration"),
            )
        })?
    }

    /// One line on how what is not known of the deployment would be known.
    pub fn how(&self) -> &'static str {
        match self.status {
            Status::NotOnEcs => "comes from ECS task metadata; this is not running on ECS",
            Status::Asking => "comes from ECS task metadata, which has not answered yet",
            Status::Unavailable => {
                "comes from ECS task metadata, which is unavailable and will be asked again"
            }
            Status::Known => "comes from ECS task metadata, which does not include it",
        }
    }
}

/// A text or number of a JSON object, made fit to show.
fn field(object: &Value, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::String(value) => text::clean(value),
        Value::Number(value) => Some(value.to_string()),
        _ => None,
    }
}

fn last_part(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_fargate_answers() {
        let deployment = Deployment::from_metadata(
            &json!({"Name": "bifora", "Image": "r/bifora:1", "ImageID": "sha256:ab", "Labels": {"x": "y"}}),
            &json!({
                "Cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/bifora",
                "TaskARN": "arn:aws:ecs:us-east-1:123456789012:task/bifora/4d1c9a0b2e3f",
                "ServiceName": "bifora-arm", "Family": "bifora-arm", "Revision": 7,
                "AvailabilityZone": "us-east-1b", "LaunchType": "FARGATE",
            }),
        );
        assert_eq!(deployment.cluster.as_deref(), Some("bifora"));
        assert_eq!(deployment.task().as_deref(), Some("4d1c9a0b2e3f"));
        assert_eq!(deployment.revision.as_deref(), Some("7"));
        assert_eq!(
            deployment.task_link().map(String::from).as_deref(),
            Some(
                "https://us-east-1.console.aws.amazon.com/ecs/v2/clusters/bifora/tasks/4d1c9a0b2e3f/configuration?region=us-east-1"
            )
        );
    }

    #[test]
    fn hostile_metadata_is_text() {
        let deployment = Deployment::from_metadata(
            &json!({"Name": ["x"], "Image": {"a": 1}, "ImageID": "<script>"}),
            &json!({"Cluster": "a/../\"><script>", "TaskARN": "arn:aws:ecs:evil.example/#:1:task/x/y", "Family": null}),
        );
        assert_eq!(deployment.task_link(), None);
        assert_eq!(deployment.image_digest, None);
        assert_eq!(
            Deployment::from_metadata(&json!(7), &json!([])),
            Deployment::unknown(Status::Known)
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<String>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from)
        ];
        let names = prop::sample::select(vec![
            "Cluster", "TaskARN", "Family", "Revision", "Image", "ImageID", "Name",
        ]);
        prop::collection::btree_map(names, leaf, 0..7).prop_map(|map| {
            map.into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
    }

    proptest! {
        #[test]
        fn any_metadata_is_read(container in any_json(), task in any_json()) {
            let deployment = Deployment::from_metadata(&container, &task);
            let _ = (deployment.task_link(), deployment.how());
        }
    }
}
