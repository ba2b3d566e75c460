//! What decides whether something runs: expressions such as `pipeline.git.branch == "main"`, and the older logic
//! statements such as `equal: [main, << pipeline.git.branch >>]`.

use std::collections::BTreeSet;

use crate::pipeline::circleci::substitute::Scope;
use crate::pipeline::yaml::{Kind, Node, Problem};

/// Whether an expression, or a logic statement that is filled in, holds. One that cannot be understood does, and is noted.
pub(crate) fn holds(condition: &Node, scope: &Scope, problems: &mut BTreeSet<Problem>) -> bool {
    let result = match (&condition.kind, condition.entries()) {
        (Kind::Text(text), _) => evaluate(text, condition.line, scope, problems),
        (Kind::Map(_), [(operator, operands)]) => {
            statement(&operator.name, operands, operator.line, scope, problems)
        }
        (Kind::Map(_) | Kind::List(_), _) => Err("this is not a condition".to_owned()),
        _ => Ok(is_true(condition)),
    };
    result.unwrap_or_else(|what| {
        problems.insert(Problem::new(condition.line, what));
        true
    })
}

fn statement(
    operator: &str,
    operands: &Node,
    line: usize,
    scope: &Scope,
    problems: &mut BTreeSet<Problem>,
) -> Result<bool, String> {
    match operator {
        "and" => Ok(operands
            .items()
            .iter()
            .all(|operand| literal_or_nested(operand, scope, problems))),
        "or" => Ok(operands
            .items()
            .iter()
            .any(|operand| literal_or_nested(operand, scope, problems))),
        "not" => Ok(!literal_or_nested(operands, scope, problems)),
        "equal" => Ok(operands.items().windows(2).all(|pair| pair[0].same(&pair[1]))),
        other => Err(format!(
            "line {line}: `{other}` is no logic statement that is understood here"
        )),
    }
}

/// In a statement a text is what it says, not an expression.
fn literal_or_nested(operand: &Node, scope: &Scope, problems: &mut BTreeSet<Problem>) -> bool {
    match operand.kind {
        Kind::Map(_) => holds(operand, scope, problems),
        _ => is_true(operand),
    }
}

fn is_true(node: &Node) -> bool {
    match &node.kind {
        Kind::Null => false,
        Kind::Boolean(value) => *value,
        Kind::Integer(value) => *value != 0,
        Kind::Text(text) => !text.is_empty(),
        Kind::List(_) | Kind::Map(_) => true,
    }
}

fn evaluate(
    text: &str,
    line: usize,
    scope: &Scope,
    problems: &mut BTreeSet<Problem>,
) -> Result<bool, String> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        line,
        scope,
        problems,
    };
    let value = parser.either()?;
    match parser.tokens.get(parser.next) {
        None => Ok(is_true(&value)),
        Some(token) => Err(format!("`{text}` is not understood from {token:?} on")),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Text(String),
    Word(String),
    Sign(String),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first == '"' || first == '\'' {
            let end = rest[1..]
                .find(first)
                .ok_or_else(|| format!("`{text}` has a quote without its end"))?;
            tokens.push(Token::Text(rest[1..=end].to_owned()));
            end + 2
        } else if "()".contains(first) {
            tokens.push(Token::Sign(first.to_string()));
            1
        } else if "=!<>".contains(first) {
            let end = rest.find(|c| !"=!<>".contains(c)).unwrap_or(rest.len());
            tokens.push(Token::Sign(rest[..end].to_owned()));
            end
        } else {
            let is_word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("`{first}` of `{text}` is not understood"));
            }
            tokens.push(Token::Word(rest[..end].to_owned()));
            end
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Parser<'a, 'b> {
    tokens: Vec<Token>,
    next: usize,
    line: usize,
    scope: &'a Scope<'b>,
    problems: &'a mut BTreeSet<Problem>,
}

impl Parser<'_, '_> {
    fn takes(&mut self, token: &Token) -> bool {
        let found = self.tokens.get(self.next) == Some(token);
        self.next += usize::from(found);
        found
    }

    fn takes_word(&mut self, word: &str) -> bool {
        self.takes(&Token::Word(word.to_owned()))
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        self.takes(&Token::Sign(sign.to_owned()))
    }

    fn truth(&self, value: bool) -> Node {
        Node::of(self.line, Kind::Boolean(value))
    }

    fn either(&mut self) -> Result<Node, String> {
        let mut value = self.both()?;
        while self.takes_word("or") {
            let other = self.both()?;
            value = if is_true(&value) { value } else { other };
        }
        Ok(value)
    }

    fn both(&mut self) -> Result<Node, String> {
        let mut value = self.comparison()?;
        while self.takes_word("and") {
            let other = self.comparison()?;
            value = if is_true(&value) { other } else { value };
        }
        Ok(value)
    }

    fn comparison(&mut self) -> Result<Node, String> {
        let left = self.operand()?;
        if self.takes_sign("==") {
            let right = self.operand()?;
            return Ok(self.truth(left.same(&right)));
        }
        if self.takes_sign("!=") {
            let right = self.operand()?;
            return Ok(self.truth(!left.same(&right)));
        }
        if self.takes_word("starts-with") {
            let right = self.operand()?;
            let (left, right) = (
                left.scalar().unwrap_or_default(),
                right.scalar().unwrap_or_default(),
            );
            return Ok(self.truth(left.starts_with(&right)));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node, String> {
        let token = self
            .tokens
            .get(self.next)
            .cloned()
            .ok_or("the expression ends early")?;
        self.next += 1;
        match token {
            Token::Sign(sign) if sign == "(" => {
                let value = self.either()?;
                if self.takes_sign(")") {
                    Ok(value)
                } else {
                    Err("a parenthesis is not closed".to_owned())
                }
            }
            Token::Sign(sign) => Err(format!("`{sign}` is not understood")),
            Token::Text(text) => Ok(Node::text(self.line, text)),
            Token::Word(word) => match word.as_str() {
                "not" => {
                    let value = self.operand()?;
                    Ok(self.truth(!is_true(&value)))
                }
                "true" | "false" => Ok(self.truth(word == "true")),
                _ => match word.parse() {
                    Ok(number) => Ok(Node::of(self.line, Kind::Integer(number))),
                    Err(_) => Ok(self
                        .scope
                        .value(&word, self.line, self.problems)
                        .unwrap_or_else(|| Node::of(self.line, Kind::Null))),
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::pipeline::circleci::Values;
    use crate::pipeline::yaml;

    fn check(condition: &str) -> Result<bool, String> {
        let mut problems = BTreeSet::new();
        let scope = Scope {
            parameters: None,
            matrix: &BTreeMap::new(),
            values: &Values {
                pipeline: BTreeMap::from([("git.branch".to_owned(), "main".to_owned())]),
                parameters: BTreeMap::new(),
            },
            pipeline_parameters: &BTreeMap::from([("deploy".to_owned(), Node::of(1, Kind::Boolean(true)))]),
        };
        let condition = yaml::parse(condition).expect("YAML");
        let condition = scope.fill(&condition, &mut problems);
        let holds = holds(&condition, &scope, &mut problems);
        problems
            .into_iter()
            .next()
            .map_or(Ok(holds), |problem| Err(problem.what))
    }

    #[test]
    fn expressions_and_statements_hold_or_do_not() {
        for (condition, expected) in [
            ("pipeline.git.branch == \"main\"", true),
            ("pipeline.git.branch != \"main\"", false),
            (
                "pipeline.git.branch starts-with \"ma\" and pipeline.parameters.deploy",
                true,
            ),
            ("not (pipeline.git.branch == \"main\" or false)", false),
            (
                "pipeline.git.tag == \"v1\" or pipeline.git.branch == 'main'",
                true,
            ),
            ("<< pipeline.parameters.deploy >>", true),
            ("equal: [main, << pipeline.git.branch >>]", true),
            ("and: [true, {not: << pipeline.parameters.deploy >>}]", false),
            ("or: [false, {equal: [a, b]}]", false),
        ] {
            assert_eq!(check(condition), Ok(expected), "{condition}");
        }
    }

    #[test]
    fn what_is_not_understood_is_noted() {
        for (condition, problem) in [
            ("pipeline.git.brnach == \"main\"", "no pipeline value"),
            ("pipeline.git.branch matches /main/", "not understood"),
            ("(true", "not closed"),
            ("matches: {pattern: a, value: b}", "no logic statement"),
        ] {
            let error = check(condition).expect_err(condition);
            assert!(error.contains(problem), "{condition}: {error}");
        }
    }
}
