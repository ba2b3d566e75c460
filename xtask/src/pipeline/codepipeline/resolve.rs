//! A template of `CloudFormation` with its functions evaluated: as far as the pipeline and what it names need it.

use std::collections::BTreeMap;

use crate::pipeline::yaml::{self, Kind, Node, Problem};

/// What an account and whoever creates a stack bring.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    /// In place of the defaults.
    pub(crate) parameters: BTreeMap<String, String>,
    /// What other stacks export.
    pub(crate) imports: BTreeMap<String, String>,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) stack: String,
}

/// A template with the inputs of one stack.
pub(crate) struct Template {
    root: Node,
    inputs: Inputs,
}

impl Template {
    pub(crate) fn new(root: Node, inputs: Inputs) -> Self {
        Self { root, inputs }
    }

    /// The resources of a type whose condition holds: the logical id, where it stands, and its properties, evaluated.
    pub(crate) fn resources(&self, kind: &str) -> Result<Vec<(String, usize, Node)>, Problem> {
        let mut resources = Vec::new();
        for (key, resource) in self.section("Resources") {
            if resource.get("Type").and_then(Node::as_text) != Some(kind) {
                continue;
            }
            if let Some(condition) = resource.get("Condition").and_then(Node::as_text)
                && !self.condition(condition, resource.line)?
            {
                continue;
            }
            let nothing = Node::of(key.line, Kind::Map(Vec::new()));
            let properties = self.resolve(resource.get("Properties").unwrap_or(&nothing))?;
            resources.push((key.name.clone(), key.line, properties));
        }
        Ok(resources)
    }

    /// The names below `Outputs`.
    pub(crate) fn outputs(&self) -> Vec<&str> {
        self.section("Outputs")
            .iter()
            .map(|(key, _)| key.name.as_str())
            .collect()
    }

    /// The default of a parameter, and where the parameter stands.
    pub(crate) fn default(&self, parameter: &str) -> Option<(usize, String)> {
        let (key, body) = self
            .section("Parameters")
            .iter()
            .find(|(key, _)| key.name == parameter)?;
        Some((key.line, body.get("Default")?.scalar()?))
    }

    /// The names and lines of the parameters.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (usize, &str)> {
        self.section("Parameters")
            .iter()
            .map(|(key, _)| (key.line, key.name.as_str()))
    }

    fn section(&self, name: &str) -> &[(yaml::Key, Node)] {
        self.root.get(name).map(Node::entries).unwrap_or_default()
    }

    /// A value without functions. What is `AWS::NoValue` is left out of lists and maps.
    pub(crate) fn resolve(&self, node: &Node) -> Result<Node, Problem> {
        if let Some((function, argument)) = function(node) {
            return self.call(&function, &argument);
        }
        let kind = match &node.kind {
            Kind::List(items) => {
                let items = items.iter().map(|item| self.resolve(item));
                let mut items = items.collect::<Result<Vec<_>, _>>()?;
                items.retain(|item| !matches!(item.kind, Kind::Null));
                Kind::List(items)
            }
            Kind::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.resolve(value)?)));
                let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
                entries.retain(|(_, value)| !matches!(value.kind, Kind::Null));
                Kind::Map(entries)
            }
            other => other.clone(),
        };
        Ok(Node::of(node.line, kind))
    }

    fn call(&self, function: &str, argument: &Node) -> Result<Node, Problem> {
        let line = argument.line;
        let wrong = || Problem::new(line, format!("!{function} has arguments that are not understood"));
        let items = argument.items();
        let text =
            |node: &Node| -> Result<String, Problem> { self.resolve(node)?.scalar().ok_or_else(wrong) };
        let truth = |value: bool| Node::of(line, Kind::Boolean(value));
        Ok(match function {
            "Ref" => return self.reference(&argument.scalar().ok_or_else(wrong)?, line),
            "GetAtt" => {
                let path = argument.scalars().join(".");
                let (resource, attribute) = path.split_once('.').ok_or_else(wrong)?;
                Node::text(line, self.attribute(resource, attribute, line)?)
            }
            "Sub" => match items {
                [] => Node::text(
                    line,
                    self.substitute(&argument.scalar().ok_or_else(wrong)?, None, line)?,
                ),
                [template, variables] => {
                    let template = template.scalar().ok_or_else(wrong)?;
                    Node::text(line, self.substitute(&template, Some(variables), line)?)
                }
                _ => return Err(wrong()),
            },
            "If" => match items {
                [condition, yes, no] => {
                    let holds = self.condition(&condition.scalar().ok_or_else(wrong)?, line)?;
                    self.resolve(if holds { yes } else { no })?
                }
                _ => return Err(wrong()),
            },
            "Condition" => truth(self.condition(&argument.scalar().ok_or_else(wrong)?, line)?),
            "Equals" => match items {
                [left, right] => truth(text(left)? == text(right)?),
                _ => return Err(wrong()),
            },
            "Not" | "And" | "Or" => {
                let values = items.iter().map(|item| Ok(text(item)? == "true"));
                let values = values.collect::<Result<Vec<_>, Problem>>()?;
                truth(match (function, values.as_slice()) {
                    ("Not", [value]) => !value,
                    ("And", values) => values.iter().all(|value| *value),
                    ("Or", values) => values.iter().any(|value| *value),
                    _ => return Err(wrong()),
                })
            }
            "Join" => match items {
                [between, list] => Node::text(
                    line,
                    self.resolve(list)?
                        .scalars()
                        .join(&between.scalar().unwrap_or_default()),
                ),
                _ => return Err(wrong()),
            },
            "Split" => match items {
                [between, whole] => {
                    let (between, whole) = (text(between)?, text(whole)?);
                    let parts = whole.split(&between).map(|part| Node::text(line, part));
                    Node::of(line, Kind::List(parts.collect()))
                }
                _ => return Err(wrong()),
            },
            "Select" => match items {
                [index, list] => {
                    let index: usize = text(index)?.parse().map_err(|_| wrong())?;
                    self.resolve(list)?
                        .items()
                        .get(index)
                        .cloned()
                        .ok_or_else(wrong)?
                }
                _ => return Err(wrong()),
            },
            "FindInMap" => {
                let path = items.iter().map(text).collect::<Result<Vec<_>, _>>()?;
                let path: Vec<_> = std::iter::once("Mappings")
                    .chain(path.iter().map(String::as_str))
                    .collect();
                self.root.at(&path).cloned().ok_or_else(wrong)?
            }
            "ImportValue" => {
                let name = text(argument)?;
                let value = self.inputs.imports.get(&name);
                Node::text(
                    line,
                    value.ok_or_else(|| Problem::new(line, format!("no stack exports `{name}`")))?,
                )
            }
            other => return Err(Problem::new(line, format!("!{other} is not understood here"))),
        })
    }

    fn condition(&self, name: &str, line: usize) -> Result<bool, Problem> {
        let condition = self
            .section("Conditions")
            .iter()
            .find(|(key, _)| key.name == name);
        let (_, condition) =
            condition.ok_or_else(|| Problem::new(line, format!("undefined condition `{name}`")))?;
        Ok(self.resolve(condition)?.scalar().as_deref() == Some("true"))
    }

    fn reference(&self, name: &str, line: usize) -> Result<Node, Problem> {
        let pseudo = match name {
            "AWS::NoValue" => return Ok(Node::of(line, Kind::Null)),
            "AWS::AccountId" => Some(self.inputs.account.as_str()),
            "AWS::Partition" => Some("aws"),
            "AWS::Region" => Some(self.inputs.region.as_str()),
            "AWS::StackName" => Some(self.inputs.stack.as_str()),
            "AWS::URLSuffix" => Some("amazonaws.com"),
            _ => None,
        };
        if let Some(value) = pseudo {
            return Ok(Node::text(line, value));
        }
        if let Some((_, parameter)) = self
            .section("Parameters")
            .iter()
            .find(|(key, _)| key.name == name)
        {
            let given = self.inputs.parameters.get(name).cloned();
            let value = given.or_else(|| parameter.get("Default")?.scalar());
            let value =
                value.ok_or_else(|| Problem::new(line, format!("the parameter `{name}` needs a value")))?;
            return Ok(Node::text(line, value));
        }
        Ok(Node::text(line, self.name_of(name, line)?))
    }

    /// The name that a resource gives itself, or its logical id where AWS would make one up.
    fn name_of(&self, resource: &str, line: usize) -> Result<String, Problem> {
        let found = self
            .section("Resources")
            .iter()
            .find(|(key, _)| key.name == resource);
        let (_, body) =
            found.ok_or_else(|| Problem::new(line, format!("undefined reference `{resource}`")))?;
        let properties = body.get("Properties");
        let name = [
            "Name",
            "RoleName",
            "ClusterName",
            "RepositoryName",
            "LogGroupName",
            "ServiceName",
            "BucketName",
        ];
        let name = name.iter().find_map(|key| properties?.get(key));
        match name {
            Some(name) => Ok(self
                .resolve(name)?
                .scalar()
                .unwrap_or_else(|| resource.to_owned())),
            None => Ok(resource.to_owned()),
        }
    }

    fn attribute(&self, resource: &str, attribute: &str, line: usize) -> Result<String, Problem> {
        let name = self.name_of(resource, line)?;
        let kind = self
            .root
            .at(&["Resources", resource, "Type"])
            .and_then(Node::as_text)
            .unwrap_or_default();
        let (account, region) = (&self.inputs.account, &self.inputs.region);
        Ok(match (kind, attribute) {
            ("AWS::IAM::Role", "Arn") => format!("arn:aws:iam::{account}:role/{name}"),
            ("AWS::CodeBuild::Project", "Arn") => {
                format!("arn:aws:codebuild:{region}:{account}:project/{name}")
            }
            ("AWS::S3::Bucket", "Arn") => format!("arn:aws:s3:::{name}"),
            (_, "Name") => name,
            // Made up by AWS, and nothing here looks into it.
            _ => format!("{resource}.{attribute}"),
        })
    }

    fn substitute(&self, template: &str, variables: Option<&Node>, line: usize) -> Result<String, Problem> {
        let mut result = String::new();
        let mut rest = template;
        while let Some(start) = rest.find("${") {
            result.push_str(&rest[..start]);
            let end = rest[start..].find('}').map(|end| start + end);
            let end = end.ok_or_else(|| Problem::new(line, "!Sub has a ${ without its }"))?;
            let name = &rest[start + 2..end];
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str("${");
                result.push_str(literal);
                result.push('}');
            } else if let Some(value) = variables.and_then(|variables| variables.get(name)) {
                result.push_str(&self.resolve(value)?.scalar().unwrap_or_default());
            } else if let Some((resource, attribute)) = name.split_once('.') {
                result.push_str(&self.attribute(resource, attribute, line)?);
            } else {
                result.push_str(&self.reference(name, line)?.scalar().unwrap_or_default());
            }
            rest = &rest[end + 1..];
        }
        result.push_str(rest);
        Ok(result)
    }
}

/// The function that a node calls, in its short or its long form, and its argument without the tag.
fn function(node: &Node) -> Option<(String, Node)> {
    if let Some(tag) = &node.tag {
        return Some((tag.clone(), Node::of(node.line, node.kind.clone())));
    }
    match node.entries() {
        [(key, argument)] if key.name == "Ref" => Some((key.name.clone(), argument.clone())),
        [(key, argument)] => Some((key.name.strip_prefix("Fn::")?.to_owned(), argument.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_evaluated_in_both_forms() {
        let text = "\
Parameters:
  Cluster: {Default: bifora}
  Wanted: {Default: 'true'}
Mappings:
  Seconds: {App: {Timeout: 20s}}
Conditions:
  Yes: !Equals [!Ref Wanted, 'true']
  No: !Not [!Condition Yes]
  Both: !And [!Condition Yes, !Or [!Condition No, !Condition Yes]]
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: {RoleName: !Sub '${Cluster}-role'}
  Gone: {Type: T, Condition: No}
  Thing:
    Type: T
    Condition: Both
    Properties:
      A: !Sub ['${X}-${!Y}-${AWS::Region}', {X: !Ref Role}]
      B: {'Fn::Join': ['/', [a, {Ref: Cluster}, !Select [1, !Split [',', 'c,d']]]]}
      C: !GetAtt Role.Arn
      D: !If [No, here, !Ref AWS::NoValue]
      E: !FindInMap [Seconds, App, Timeout]
      F: {'Fn::ImportValue': !Sub '${AWS::StackName}-x'}
      G: [!If [Yes, kept, !Ref AWS::NoValue], !If [No, x, !Ref AWS::NoValue]]
";
        let inputs = Inputs {
            parameters: BTreeMap::from([("Cluster".to_owned(), "other".to_owned())]),
            imports: BTreeMap::from([("stack-x".to_owned(), "imported".to_owned())]),
            account: "123".to_owned(),
            region: "eu-west-1".to_owned(),
            stack: "stack".to_owned(),
        };
        let template = Template::new(yaml::parse(text).expect("YAML"), inputs);
        let things = template.resources("T").expect("resolved");
        let [(name, 15, properties)] = things.as_slice() else {
            panic!("{things:?}");
        };
        assert_eq!(name, "Thing");
        let values: Vec<_> = properties
            .entries()
            .iter()
            .map(|(key, value)| format!("{}={}", key.name, value.scalars().join("+")))
            .collect();
        assert_eq!(
            values,
            [
                "A=other-role-${Y}-eu-west-1",
                "B=a/other/d",
                "C=arn:aws:iam::123:role/other-role",
                "E=20s",
                "F=imported",
                "G=kept"
            ]
        );
    }
}
