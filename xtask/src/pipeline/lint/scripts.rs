//! Shell commands and the scripts of `ci/` that they call: whether these exist, and what both need and do.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::pipeline::lint::{Report, Sources};
use crate::pipeline::shell::{Call, Script};

/// A shell command with all that it calls.
#[derive(Default)]
pub(crate) struct Commands {
    /// The variables that have to come from outside, and which script needs them, if it is not the command itself.
    pub(crate) needs: BTreeMap<String, Option<String>>,
    /// What the command sets for those behind it in the same shell.
    pub(crate) sets: BTreeSet<String>,
    /// What later steps of a CircleCI job get.
    pub(crate) exports: BTreeSet<String>,
    pub(crate) calls: Vec<Call>,
    /// The text of the command and of all scripts, without comments: to look for programs in.
    pub(crate) text: String,
}

/// A script of `ci/`, which many commands call.
#[derive(Debug)]
pub(crate) struct ScriptFile {
    /// With the library that it sources.
    script: Script,
    /// Its text without comments.
    code: String,
}

impl ScriptFile {
    fn read(sources: &Sources, text: &str) -> Self {
        let mut whole = text.to_owned();
        if whole.contains("/lib.sh\"") {
            whole.push_str(
                sources
                    .files
                    .get("ci/lib.sh")
                    .map_or("", |library| library.text.as_str()),
            );
        }
        Self {
            script: Script::read(&whole),
            code: without_comments(text),
        }
    }
}

impl Commands {
    /// Reads a command and what it calls. What is wrong with the calls is reported at `line` of `file`.
    pub(crate) fn read(sources: &Sources, text: &str, file: &str, line: usize, report: &mut Report) -> Self {
        let script = Script::read(text);
        let mut commands = Self {
            needs: script.needs().map(|name| (name.to_owned(), None)).collect(),
            sets: script.sets.clone(),
            exports: script.exports.clone(),
            calls: Vec::new(),
            text: without_comments(text),
        };
        for call in &script.calls {
            commands.follow(sources, call, file, line, report);
        }
        commands
    }

    fn follow(&mut self, sources: &Sources, call: &Call, file: &str, line: usize, report: &mut Report) {
        let Some(source) = sources.files.get(&call.script) else {
            report.add(file, line, format!("there is no {}", call.script));
            return;
        };
        if !source.executable {
            report.add(file, line, format!("{} is not executable", call.script));
        }
        // Of one that runs a command, the options are that command's.
        let words = if call.script == "ci/as-root.sh" {
            &[][..]
        } else {
            &call.words
        };
        for word in words {
            let option = word.split('=').next().unwrap_or_default();
            if option.starts_with("--") && option.len() > 2 && !source.text.contains(option) {
                report.add(file, line, format!("{} has no option {option}", call.script));
            }
        }
        if let Some(wrong) = wrong_number(&source.text, call) {
            report.add(file, line, wrong);
        }
        // It names the variables that it wants to be set.
        if call.script == "ci/require.sh" {
            for name in call.words.iter().take_while(|word| is_capital(word)) {
                self.needs.insert(name.clone(), Some(call.script.clone()));
            }
        }
        self.calls.push(call.clone());
        let script = source
            .script
            .get_or_init(|| Rc::new(ScriptFile::read(sources, &source.text)));
        self.text.push_str(&script.code);
        // What is not in capitals is a script's own, and shellcheck's.
        for name in script.script.needs().filter(|name| is_capital(name)) {
            self.needs
                .entry(name.to_owned())
                .or_insert_with(|| Some(call.script.clone()));
        }
        self.exports.extend(script.script.exports.iter().cloned());
        for inner in &script.script.calls {
            if self.calls.iter().all(|call| call.script != inner.script) {
                self.follow(sources, inner, file, line, report);
            }
        }
    }

    /// Whether any of these stands in the command or in what it calls.
    pub(crate) fn mentions(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.text.contains(word))
    }

    /// Whether it puts something into a registry.
    pub(crate) fn publishes(&self) -> bool {
        self.mentions(&[
            "docker push",
            "imagetools create",
            "manifest push",
            "buildx build --push",
        ])
    }

    /// Whether it calls this script.
    pub(crate) fn calls(&self, script: &str) -> bool {
        self.calls.iter().any(|call| call.script == script)
    }

    /// Whether it needs an engine that runs on this machine, rather than a client alone.
    pub(crate) fn needs_engine(&self) -> bool {
        self.mentions(&[
            "docker build ",
            "docker create",
            "docker load",
            "docker push",
            "docker run",
            "docker save",
            "docker tag",
            "buildx build",
        ])
    }
}

/// Whether a script is given more or fewer words than its usage names, in the style of `usage: ci/x.sh A B [--c D]`.
fn wrong_number(script: &str, call: &Call) -> Option<String> {
    let usage = script.lines().find_map(|line| line.strip_prefix("usage: "))?;
    let usage = usage.strip_prefix(&call.script)?;
    let (mut wanted, mut takes_value, mut depth) = (Vec::new(), Vec::new(), 0);
    let mut before = "";
    for word in usage.split_whitespace() {
        depth += usize::from(word.starts_with('['));
        let bare = word.trim_matches(['[', ']', '…']);
        if depth == 0 {
            wanted.push(word);
        } else if before.starts_with("--") {
            takes_value.push(before);
        }
        before = if depth > 0 { bare } else { "" };
        depth -= usize::from(word.contains(']'));
    }
    let mut given = 0;
    let mut words = call.words.iter();
    while let Some(word) = words.next() {
        if takes_value.contains(&word.as_str()) {
            words.next()?;
        } else if !word.starts_with("--") {
            given += 1;
        }
    }
    let more = wanted.last().is_some_and(|last| last.ends_with('…'));
    let fits = given == wanted.len() || (more && given > wanted.len());
    (!fits).then(|| {
        format!(
            "{} is given another number of words ({given}) than its usage names:{usage}",
            call.script
        )
    })
}

fn is_capital(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Without comments, the texts of usage and what is only said.
fn without_comments(text: &str) -> String {
    let mut result = String::new();
    let mut literal = false;
    for line in text.lines() {
        let line = line.trim();
        if literal {
            literal = line != "TEXT";
        } else if line.ends_with("<<'TEXT'") {
            literal = true;
        } else if !line.starts_with('#') && !line.starts_with("fail ") && !line.starts_with("say ") {
            let code = line.split(" || fail ").next().unwrap_or(line);
            result.push_str(code.strip_suffix('\\').unwrap_or(code));
            result.push(if line.ends_with('\\') { ' ' } else { '\n' });
        }
    }
    result
}
