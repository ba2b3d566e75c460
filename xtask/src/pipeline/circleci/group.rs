//! Jobs among each other: the members of job groups, who requires whom, and an order in which all can run.

use std::collections::BTreeMap;

use crate::pipeline::circleci::Job;
use crate::pipeline::circleci::config::Invocation;
use crate::pipeline::circleci::expand::Expander;
use crate::pipeline::yaml::Node;

/// The keys of a job group in a workflow: it takes no matrix, no context and no steps.
const GROUP_KEYS: &[&str] = &["name", "requires", "filters", "serial-group"];

/// A job whose place among the others is still to be found.
pub(crate) struct Scheduled {
    pub(crate) job: Job,
    pub(crate) line: usize,
    /// What it can be required by beyond its own name: that of its definition or matrix, its name as it is written.
    pub(crate) names: Vec<String>,
    pub(crate) requires: Vec<(usize, String)>,
    pub(crate) included: bool,
}

impl Scheduled {
    /// See the field.
    pub(crate) fn names(invocation: &Invocation) -> Vec<String> {
        let written = [&["matrix", "alias"][..], &["name"]];
        let written = written.map(|path| invocation.body.at(path).and_then(Node::scalar));
        std::iter::once(invocation.name.clone())
            .chain(written.into_iter().flatten())
            .collect()
    }
}

impl Expander<'_> {
    /// What a job requires, with the line of each.
    pub(crate) fn required(&mut self, body: &Node) -> Vec<(usize, String)> {
        let mut required = Vec::new();
        for item in body.get("requires").map(Node::items).unwrap_or_default() {
            match (item.scalar(), item.entries()) {
                (Some(name), _) => required.push((item.line, name)),
                // With the outcomes that count, such as `failed`.
                (None, [(key, _)]) => required.push((key.line, key.name.clone())),
                _ => self.problem(item.line, "this has to be the name of a job"),
            }
        }
        required
    }

    /// The members of a group: the first wait for what the group requires, and all share its filter and serial group.
    pub(crate) fn group(&mut self, invocation: &Invocation, all: &mut Vec<Scheduled>) {
        let Some(group) = self.config.group(&invocation.name) else {
            return;
        };
        self.used.groups.insert(group.name.clone());
        if self.config.job(&group.name).is_some() {
            self.problem(group.line, format!("`{}` is a job, too", group.name));
        }
        if let Err(problem) = invocation.body.only("a job group in a workflow", GROUP_KEYS) {
            self.problems.insert(problem);
        }
        let body = self.fill(&invocation.body, None, &BTreeMap::new());
        let text = |key: &str| body.get(key).and_then(Node::scalar);
        let (name, serial_group) = (text("name"), text("serial-group"));
        let included = body.get("filters").is_none_or(|filters| self.filter(filters));
        let requires = self.required(&body);
        let mut members = Vec::new();
        for member in &group.jobs {
            if self.config.group(&member.name).is_some() {
                self.problem(member.line, "a job group cannot hold another");
            }
            members.extend(self.invocation(member));
        }
        let shown = name.as_ref().unwrap_or(&group.name);
        let has_member = |members: &[Scheduled], wanted: &str| {
            members
                .iter()
                .any(|member| member.job.name == wanted || member.names.iter().any(|name| name == wanted))
        };
        for index in 0..members.len() {
            let outside: Vec<_> = members[index]
                .requires
                .iter()
                .filter(|(_, name)| !has_member(&members, name))
                .cloned()
                .collect();
            for (line, name) in outside {
                self.problem(
                    line,
                    format!("the group `{shown}` has no job `{name}` that could be required"),
                );
                members[index].requires.retain(|(_, other)| *other != name);
            }
            let member = &mut members[index];
            if member.requires.is_empty() {
                member.requires.clone_from(&requires);
            }
            member.included &= included;
            member.job.group = Some(shown.clone());
            if serial_group.is_some() {
                member.job.serial_group.clone_from(&serial_group);
            }
        }
        if let Some(prefix) = &name {
            let names: Vec<_> = members.iter().map(|member| member.job.name.clone()).collect();
            for member in &mut members {
                member.job.name = format!("{prefix}-{}", member.job.name);
                for (_, required) in &mut member.requires {
                    if names.contains(required) {
                        *required = format!("{prefix}-{required}");
                    }
                }
            }
        }
        all.extend(members);
    }

    /// Those that run, each behind those that it requires, and those that do not run.
    pub(crate) fn order(&mut self, scheduled: &[Scheduled]) -> (Vec<Job>, Vec<Job>) {
        for (index, one) in scheduled.iter().enumerate() {
            if scheduled[..index]
                .iter()
                .any(|other| other.job.name == one.job.name)
            {
                self.problem(one.line, format!("two jobs are called `{}`", one.job.name));
            }
        }
        let mut required = Vec::new();
        for one in scheduled {
            let indices = one.requires.iter();
            let indices = indices.flat_map(|(line, name)| self.find(name, *line, one, scheduled));
            required.push(indices.collect::<Vec<_>>());
        }
        let mut order: Vec<usize> = Vec::new();
        while order.len() < scheduled.len() {
            let next = (0..scheduled.len()).find(|index| {
                !order.contains(index) && required[*index].iter().all(|required| order.contains(required))
            });
            let Some(next) = next else {
                let stuck: Vec<_> = (0..scheduled.len())
                    .filter(|index| !order.contains(index))
                    .collect();
                let names: Vec<_> = stuck
                    .iter()
                    .map(|&index| scheduled[index].job.name.as_str())
                    .collect();
                let what = format!("these jobs wait for each other in a circle: {}", names.join(", "));
                self.problem(scheduled[stuck[0]].line, what);
                order.extend(stuck);
                break;
            };
            order.push(next);
        }
        let (mut jobs, mut left_out) = (Vec::new(), Vec::new());
        for index in order {
            let one = &scheduled[index];
            let mut job = one.job.clone();
            for &required in &required[index] {
                let required = &scheduled[required];
                if one.included && !required.included {
                    let what = format!(
                        "`{}` requires `{}`, which does not run on the same branches",
                        job.name, required.job.name
                    );
                    self.problem(one.line, what);
                }
                job.requires.push(required.job.name.clone());
            }
            if one.included { &mut jobs } else { &mut left_out }.push(job);
        }
        (jobs, left_out)
    }

    /// The jobs that a name stands for: one, all of a matrix, or the last of a group.
    fn find(&mut self, name: &str, line: usize, by: &Scheduled, all: &[Scheduled]) -> Vec<usize> {
        let indices = |fits: &dyn Fn(&Scheduled) -> bool| -> Vec<usize> {
            (0..all.len()).filter(|&index| fits(&all[index])).collect()
        };
        let members = indices(&|one| one.job.group.as_deref() == Some(name));
        if !members.is_empty() && by.job.group.as_deref() != Some(name) {
            let is_required = |index: usize| {
                members.iter().any(|&other| {
                    all[other]
                        .requires
                        .iter()
                        .any(|(_, required)| *required == all[index].job.name)
                })
            };
            return members
                .iter()
                .copied()
                .filter(|&index| !is_required(index))
                .collect();
        }
        let mut found = indices(&|one| one.job.name == name);
        if found.is_empty() {
            found = indices(&|one| one.names.iter().any(|other| other == name));
        }
        if found.is_empty() {
            self.problem(
                line,
                format!("`{}` requires the undefined job `{name}`", by.job.name),
            );
        }
        for &index in &found {
            let group = &all[index].job.group;
            if group.is_some() && *group != by.job.group {
                let what =
                    format!("`{name}` is inside a job group: only the group can be required from outside");
                self.problem(line, what);
            }
        }
        found
    }
}
