//! What of the pipelines cannot be had offline, and what is done in its place: the one list of it.
//!
//! Every step that is not a shell command is either carried out by the rehearsal itself, as the builtin steps of CircleCI
//! are, or in this list. What is in neither fails the rehearsal.

/// What stands in for a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StandIn {
    /// The role's credentials, for a token that this rehearsal signs.
    AssumeRole,
    /// `docker login` to the public registry.
    PublicLogin,
    /// A new revision of the family, and the service waited for.
    DeployService,
    /// The step of the tests that takes seconds.
    QuickestTest,
}

/// An entry of the list.
pub(super) struct Entry {
    /// The step of an orb, the job of an orb, or the whole command of a `run` step.
    pub(super) step: &'static str,
    pub(super) stand_in: StandIn,
    /// What it stands for, and why the thing itself is not there.
    pub(super) why: &'static str,
}

/// The list.
const ENTRIES: [Entry; 4] = [
    Entry {
        step: "aws-cli/setup",
        stand_in: StandIn::AssumeRole,
        why: "an orb cannot be fetched: a token that is signed here is exchanged for the role of circleci.yml, whose trust \
              policy is checked; the AWS command line is there already",
    },
    Entry {
        step: "aws-ecr/ecr_login",
        stand_in: StandIn::PublicLogin,
        why: "an orb cannot be fetched: the password comes from ecr-public and goes to docker login, as in the orb",
    },
    Entry {
        step: "aws-ecs/deploy_service_update",
        stand_in: StandIn::DeployService,
        why: "an orb cannot be fetched: the latest revision of the family is registered with the new image, the service \
              updated and waited for, as in the orb",
    },
    Entry {
        step: "ci/as-root.sh cargo xtask test --yes",
        stand_in: StandIn::QuickestTest,
        why: "the rehearsal is one of these tests: the quickest of the others is run, and all of them where this is started from",
    },
];

/// What stands in for a step, if anything does.
pub(super) fn find(step: &str) -> Option<&'static Entry> {
    const LIST: &[Entry] = &ENTRIES;
    LIST.iter().find(|entry| step.trim() == entry.step)
}

/// What the machine of a rehearsal adds to the environment of every step, so that commands run as they are written.
pub(super) const ENVIRONMENT: [(&str, &str, &str); 3] = [
    (
        "BIFORA_ALLOW_EMULATION",
        "true",
        "this machine has one architecture, and emulates the other",
    ),
    (
        "BIFORA_VERIFY_SETTLE",
        "5s",
        "the gate watches for a sixth of its time: deployments of the local cloud are faster, too",
    ),
    ("BIFORA_VERIFY_TIMEOUT", "45s", "and gives up sooner"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_for_the_steps_that_they_name() {
        let found = |step| find(step).map(|entry| entry.stand_in);
        assert_eq!(found("aws-cli/setup"), Some(StandIn::AssumeRole));
        assert_eq!(
            found("ci/as-root.sh cargo xtask test --yes\n"),
            Some(StandIn::QuickestTest)
        );
        assert_eq!(
            found("ci/as-root.sh cargo xtask test --yes\nrm x"),
            None,
            "another command"
        );
        assert_eq!(found("ci/test-image.sh bifora:x amd64"), None, "runs as it is");
        assert_eq!(
            found("aws-ecs/update_service"),
            None,
            "an orb's step without an entry fails the rehearsal"
        );
    }
}
