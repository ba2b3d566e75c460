//! What a shell script asks of its environment, found without running it: the variables it uses and sets, the
//! scripts of `ci/` it calls. Good enough for scripts that are written plainly; not a shell.

use std::collections::BTreeSet;

/// What there is to know of a script.
#[derive(Debug)]
pub(crate) struct Script {
    /// Variables whose value is needed: `$X`, `${X}`, `${X:?}`, `${X%…}`; not `${X:-…}` or `${X+…}`.
    pub(crate) uses: BTreeSet<String>,
    /// Variables that are set here, so that commands behind see them.
    pub(crate) sets: BTreeSet<String>,
    /// Variables that are written to `BASH_ENV`, so that later steps of a CircleCI job see them.
    pub(crate) exports: BTreeSet<String>,
    /// Calls of scripts in `ci/`.
    pub(crate) calls: Vec<Call>,
}

/// A script of the repository that is called, with what follows on its command line as far as that can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) script: String,
    pub(crate) words: Vec<String>,
}

/// Set by bash itself, by any log-in, or names of its own syntax.
const SHELL: &[&str] = &[
    "BASH_ENV",
    "BASH_REMATCH",
    "BASH_SOURCE",
    "EUID",
    "FUNCNAME",
    "HOME",
    "HOSTNAME",
    "IFS",
    "LINENO",
    "OLDPWD",
    "OPTARG",
    "OPTIND",
    "OSTYPE",
    "PATH",
    "PIPESTATUS",
    "PPID",
    "PWD",
    "RANDOM",
    "REPLY",
    "SECONDS",
    "SHELL",
    "TMPDIR",
    "UID",
    "USER",
];

impl Script {
    /// Reads a script.
    pub(crate) fn read(text: &str) -> Self {
        let text = without_comments_and_literals(text);
        let mut script = Self {
            uses: used(&text),
            sets: BTreeSet::new(),
            exports: BTreeSet::new(),
            calls: Vec::new(),
        };
        script.find_assignments(&text);
        script.find_calls(&text);
        script
    }

    /// The variables that have to come from outside.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &str> {
        self.uses
            .iter()
            .filter(|name| !self.sets.contains(*name) && !SHELL.contains(&name.as_str()))
            .map(String::as_str)
    }

    fn find_assignments(&mut self, text: &str) {
        let to_environment = text.contains("BASH_ENV");
        for line in text.lines() {
            let words = line
                .split(|c: char| c.is_whitespace() || ";(&|\"'{".contains(c))
                .filter(|word| !word.is_empty());
            let mut before = "";
            for word in words {
                if matches!(word, "for" | "read" | "local" | "declare" | "export" | "readonly") {
                    before = word;
                    continue;
                }
                let name_end = word.find(|c: char| !is_name(c)).unwrap_or(word.len());
                let (name, rest) = word.split_at(name_end);
                let assigned = rest.starts_with('=') || rest.starts_with("+=");
                if is_variable_name(name) && (assigned || (!before.is_empty() && rest.is_empty())) {
                    // `echo "export X=…" >> "$BASH_ENV"` says nothing about this shell, but nothing wrong either.
                    if before == "export" && to_environment {
                        self.exports.insert(name.to_owned());
                    }
                    // A variable that is passed on by itself is not set: `export X`.
                    if assigned || before != "export" {
                        self.sets.insert(name.to_owned());
                    }
                }
                if matches!(before, "for") || (before == "export" && !assigned && !is_variable_name(word)) {
                    before = "";
                }
            }
        }
    }

    fn find_calls(&mut self, text: &str) {
        let text = text.replace("\\\n", " ");
        for line in text.lines() {
            for (start, _) in line.match_indices("ci/") {
                let before = line[..start].trim_end_matches("./");
                let mut words = words(&line[start..]);
                if !words.is_empty()
                    && words[0]
                        .strip_suffix(".sh")
                        .is_some_and(|name| !name.contains('*'))
                    && starts_command(before)
                {
                    self.calls.push(Call {
                        script: words.remove(0),
                        words,
                    });
                }
            }
        }
    }
}

/// The words of the first command of a text, without their quotes; what is in `$(…)` is one with what surrounds it.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    let (mut quote, mut depth) = (None, 0_usize);
    let mut redirected = false;
    for c in text.chars().chain([' ']) {
        match c {
            '"' | '\'' if depth == 0 && quote.is_none_or(|open| open == c) => {
                quote = if quote.is_some() { None } else { Some(c) };
                quoted = true;
                continue;
            }
            '(' if word.ends_with('$') || depth > 0 => depth += 1,
            ')' if depth > 0 => depth -= 1,
            _ if quote.is_some() || depth > 0 => {}
            ';' | '|' | '&' | ')' => break,
            // The next word is the name of a file.
            '>' | '<' => {
                redirected = true;
                word.clear();
                continue;
            }
            _ if c.is_whitespace() => {
                if !word.is_empty() || quoted {
                    if !redirected {
                        words.push(std::mem::take(&mut word));
                    }
                    word.clear();
                    (redirected, quoted) = (false, false);
                }
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() && !redirected {
        words.push(word);
    }
    words
}

/// Whether a command can stand behind this text of its line.
fn starts_command(before: &str) -> bool {
    if !before.is_empty() && !before.ends_with(|c: char| c.is_whitespace() || "(`".contains(c)) {
        return false;
    }
    let before = before.trim_end();
    let last = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    before.is_empty()
        || before.ends_with([';', '&', '|', '(', '{', ')', '!', '`'])
        || matches!(last, "then" | "do" | "else" | "if" | "while" | "until" | "exec" | "bash" | "time")
        // A variable for this command alone.
        || (last.contains('=') && last.starts_with(|c: char| c.is_ascii_alphabetic()))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_name)
}

/// The names behind `$`, in a text without literals.
fn used(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (index, _) in text.match_indices('$') {
        if text[..index].ends_with('\\') {
            continue;
        }
        let rest = &text[index + 1..];
        let braces = rest.starts_with('{');
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let rest = if braces {
            rest.strip_prefix(['#', '!']).unwrap_or(rest)
        } else {
            rest
        };
        let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let has_default = braces
            && ["-", ":-", "+", ":+", "=", ":="]
                .iter()
                .any(|sign| rest.starts_with(sign));
        if is_variable_name(name) && !has_default {
            names.insert(name.to_owned());
        }
    }
    names
}

/// The text without comments, without what stands in single quotes, and without here-documents that are literal.
/// What a literal writes to `BASH_ENV` is kept, but for its `$`.
fn without_comments_and_literals(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut quoted = Quote::None;
    let mut literal_until: Option<String> = None;
    for line in text.lines() {
        if let Some(end) = &literal_until {
            if line.trim() == end {
                literal_until = None;
            }
            result.push('\n');
            continue;
        }
        let mut previous = ' ';
        for (index, c) in line.char_indices() {
            let escaped = previous == '\\';
            match quoted {
                Quote::None if c == '#' && previous.is_whitespace() => break,
                Quote::None if c == '\'' && !escaped => quoted = Quote::Single,
                Quote::None if c == '"' && !escaped => quoted = Quote::Double,
                Quote::Single if c == '\'' => quoted = Quote::None,
                Quote::Double if c == '"' && !escaped => quoted = Quote::None,
                _ => {}
            }
            if quoted == Quote::Single && c == '$' {
                result.push(' ');
            } else {
                result.push(c);
            }
            if quoted == Quote::None && line[index..].starts_with("<<'") {
                literal_until = line[index + 3..].split('\'').next().map(str::to_owned);
            }
            previous = if escaped && c == '\\' { ' ' } else { c };
        }
        result.push('\n');
    }
    result
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_needs_is_what_it_uses_and_does_not_set() {
        let script = Script::read(
            "# $COMMENT\n\
             X=1; for Y in a b; do echo \"$X $Y ${A:?which} ${B:-none} ${C%%:*}\"; done\n\
             echo '$LITERAL' \"it's $D\" \\$ESCAPED\n\
             cat <<'TEXT'\n  $HERE\nTEXT\n\
             own=1; echo $own $other \"$1\"\n",
        );
        assert_eq!(script.needs().collect::<Vec<_>>(), ["A", "C", "D", "other"]);
    }

    #[test]
    fn exports_to_later_steps_are_seen() {
        for text in [
            "echo \"export DIGEST=$digest\" >> \"$BASH_ENV\"",
            "echo 'export DIGEST=\"$X\"' >> \"$BASH_ENV\"",
            "printf 'export DIGEST=%q\\n' \"$digest\" >>\"$BASH_ENV\"",
            "{\n  echo \"export OTHER=1\"\n  echo \"export DIGEST=1\"\n} >> $BASH_ENV",
        ] {
            let script = Script::read(text);
            assert!(script.exports.contains("DIGEST"), "{text}");
            let needs: Vec<_> = script.needs().filter(|name| *name != "digest").collect();
            assert_eq!(needs.len(), 0, "{text}: {needs:?}");
        }
        assert!(Script::read("export X=1").exports.is_empty());
    }

    #[test]
    fn calls_of_scripts_are_found_with_their_words() {
        let script = Script::read(
            "set -e\nFOO=1 ./ci/build.sh --arch amd64 \\\n  --push && ci/other.sh\n\
             x=$(ci/words.sh \"$(cat a b)\" c\"d e\" > file | tee f)\n\
             chmod +x ci/*.sh ci/build.sh; echo \"ci/other.sh does not run\" # ci/none.sh\n",
        );
        assert_eq!(
            script.calls,
            [
                Call {
                    script: "ci/build.sh".to_owned(),
                    words: ["--arch", "amd64", "--push"].map(str::to_owned).to_vec(),
                },
                Call {
                    script: "ci/other.sh".to_owned(),
                    words: Vec::new(),
                },
                Call {
                    script: "ci/words.sh".to_owned(),
                    words: ["$(cat a b)", "cd e"].map(str::to_owned).to_vec(),
                },
            ]
        );
    }
}
