//! Documents made up at random after the schema: good ones above all, and some that are wrong
//! somewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, Type, TypeKind, TypeSystemDefinition,
};
use async_graphql::parser::{parse_schema, types::InputObjectType};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, json};

/// How many fields a document selects at most, fragments not expanded.
const MAX_FIELDS: usize = 40;
const MAX_DEPTH: usize = 6;

/// A document with the values of its variables.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) query: String,
    pub(super) variables: serde_json::Value,
}

/// The types of the schema.
pub(super) struct Types {
    objects: BTreeMap<String, Vec<FieldDefinition>>,
    inputs: BTreeMap<String, (InputObjectType, bool)>,
    enums: BTreeMap<String, Vec<String>>,
}

impl Types {
    pub(super) fn of(sdl: &str) -> Self {
        let mut types = Self {
            objects: BTreeMap::new(),
            inputs: BTreeMap::new(),
            enums: BTreeMap::new(),
        };
        for definition in parse_schema(sdl).unwrap().definitions {
            let TypeSystemDefinition::Type(definition) = definition else {
                continue;
            };
            let one_of = |name: &str| name == "oneOf";
            let is_one_of = definition
                .node
                .directives
                .iter()
                .any(|directive| one_of(&directive.node.name.node));
            let name = definition.node.name.node.to_string();
            match definition.node.kind {
                TypeKind::Object(object) => {
                    let fields = object.fields.into_iter().map(|field| field.node);
                    types.objects.insert(name, fields.collect());
                }
                TypeKind::Interface(interface) => {
                    let fields = interface.fields.into_iter().map(|field| field.node);
                    types.objects.insert(name, fields.collect());
                }
                TypeKind::InputObject(input) => {
                    types.inputs.insert(name, (input, is_one_of));
                }
                TypeKind::Enum(values) => {
                    let values = values.values.iter().map(|v| v.node.value.node.to_string());
                    types.enums.insert(name, values.collect());
                }
                _ => {}
            }
        }
        types
    }

    /// Each field of an object by itself, with what is selected of it.
    pub(super) fn fields_of(&self, object: &str) -> Vec<String> {
        let mut fields = Vec::new();
        for field in &self.objects[object] {
            let ty = innermost(&field.ty.node);
            let needs = field.arguments.iter().any(|argument| {
                !argument.node.ty.node.nullable && argument.node.default_value.is_none()
            });
            let arguments = if needs { "(key: \"theme\")" } else { "" };
            let below = if self.is_composite(ty) {
                "{ __typename }"
            } else {
                ""
            };
            fields.push(format!("{}{arguments} {below}", field.name.node));
        }
        fields
    }

    fn is_composite(&self, name: &str) -> bool {
        self.objects.contains_key(name)
    }
}

/// A value, as it is written in a document and as it is sent for a variable.
#[derive(Debug, Clone)]
enum Given {
    Json(serde_json::Value),
    Enum(String),
    List(Vec<Given>),
    Object(Vec<(String, Given)>),
    Variable(String),
}

impl Given {
    fn written(&self) -> String {
        match self {
            Self::Json(value) => value.to_string(),
            Self::Enum(name) => name.clone(),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::written).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Object(fields) => {
                let fields = fields.iter().map(|(k, v)| format!("{k}: {}", v.written()));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
            Self::Variable(name) => format!("${name}"),
        }
    }

    fn sent(&self) -> serde_json::Value {
        match self {
            Self::Json(value) => value.clone(),
            Self::Enum(name) => json!(name),
            Self::List(items) => items.iter().map(Self::sent).collect(),
            Self::Object(fields) => fields
                .iter()
                .map(|(key, value)| (key.clone(), value.sent()))
                .collect::<Map<_, _>>()
                .into(),
            Self::Variable(_) => serde_json::Value::Null,
        }
    }
}

/// Makes the document of a seed.
pub(super) fn make(types: &Types, seed: u64) -> Asked {
    let mut maker = Maker {
        types,
        random: StdRng::seed_from_u64(seed),
        fields: 0,
        names: 0,
        declared: String::new(),
        variables: Map::new(),
        fragments: String::new(),
    };
    let set = maker.set("Query", 0);
    let mut query = String::new();
    let declared = match maker.declared.as_str() {
        "" => String::new(),
        declared => format!("({declared})"),
    };
    let _ = write!(query, "query Q{declared} {set}{}", maker.fragments);
    if maker.chance(2) {
        query.push_str(" query Other { viewer { scopes } }");
    }
    Asked {
        query,
        variables: maker.variables.into(),
    }
}

struct Maker<'a> {
    types: &'a Types,
    random: StdRng,
    fields: usize,
    names: usize,
    declared: String,
    variables: Map<String, serde_json::Value>,
    fragments: String,
}

impl Maker<'_> {
    /// True in this many of a hundred cases.
    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn pick<'t, T>(&mut self, among: &'t [T]) -> &'t T {
        &among[self.random.random_range(0..among.len())]
    }

    fn name(&mut self, start: &str) -> String {
        self.names += 1;
        format!("{start}{}", self.names)
    }

    /// A selection set on an object of the type `on`.
    fn set(&mut self, on: &str, depth: usize) -> String {
        let mut set = String::from("{ ");
        let count = self.random.random_range(1..=4);
        for _ in 0..count {
            let selection = self.selection(on, depth);
            set.push_str(&selection);
            set.push(' ');
        }
        set.push('}');
        set
    }

    fn selection(&mut self, on: &str, depth: usize) -> String {
        let room = depth < MAX_DEPTH && self.fields < MAX_FIELDS;
        match self.random.random_range(0..100) {
            0..6 => "__typename".to_owned(),
            6..14 if room => {
                let ty = self.part_of(on);
                let condition = if self.chance(70) {
                    format!("on {ty}")
                } else {
                    String::new()
                };
                let ty = if condition.is_empty() { on } else { &ty };
                let directives = self.directives();
                format!("... {condition} {directives} {}", self.set(ty, depth + 1))
            }
            14..20 if room => {
                let (name, ty) = (self.name("F"), self.part_of(on));
                let set = self.set(&ty, depth + 1);
                let _ = write!(self.fragments, " fragment {name} on {ty} {set}");
                format!("...{name} {}", self.directives())
            }
            20 if on == "Query" => "__schema { queryType { name } }".to_owned(),
            _ => self.field(on, depth),
        }
    }

    /// A type whose fragments fit an object of the type `on`.
    fn part_of(&mut self, on: &str) -> String {
        let nodes = ["User", "Organization", "UserOption", "Node"];
        match on {
            "Node" => (*self.pick(&nodes)).to_owned(),
            _ if nodes.contains(&on) && self.chance(20) => "Node".to_owned(),
            _ => on.to_owned(),
        }
    }

    fn field(&mut self, on: &str, depth: usize) -> String {
        let types = self.types;
        let leaf = |field: &&FieldDefinition| !types.is_composite(innermost(&field.ty.node));
        let fields: Vec<&FieldDefinition> = types.objects[on].iter().collect();
        let leaves: Vec<&FieldDefinition> = fields.iter().copied().filter(leaf).collect();
        let is_full = depth >= MAX_DEPTH || self.fields >= MAX_FIELDS;
        if is_full && leaves.is_empty() {
            return "__typename".to_owned();
        }
        let field = *self.pick(if is_full { &leaves } else { &fields });
        self.fields += 1;
        let mut text = String::new();
        if self.chance(40) {
            let alias = self.name("a");
            let _ = write!(text, "{alias}: ");
        } else if self.chance(4) {
            text.push_str("same: ");
        }
        let _ = write!(text, "{}", field.name.node);
        let arguments: Vec<&InputValueDefinition> = field
            .arguments
            .iter()
            .map(|argument| &argument.node)
            .collect();
        let mut given = Vec::new();
        for argument in arguments {
            let is_required = !argument.ty.node.nullable && argument.default_value.is_none();
            if if is_required {
                self.chance(99)
            } else {
                self.chance(35)
            } {
                let value = self.value(&argument.ty.node, &argument.name.node, 0);
                given.push(format!("{}: {}", argument.name.node, value.written()));
            }
        }
        if !given.is_empty() {
            let _ = write!(text, "({})", given.join(", "));
        }
        let head = text.clone();
        let directives = self.directives();
        text.push_str(&directives);
        let below = innermost(&field.ty.node).to_owned();
        if self.types.is_composite(&below) {
            let set = self.set(&below, depth + 1);
            text.push_str(&set);
            if self.chance(8) {
                // Asked for once more, which must be merged.
                let set = self.set(&below, depth + 1);
                let _ = write!(text, " {head} {set}");
            }
        }
        text
    }

    fn directives(&mut self) -> String {
        if !self.chance(7) {
            return String::new();
        }
        let name = *self.pick(&["skip", "include"]);
        let value = self.chance(50);
        let condition = if self.chance(50) {
            self.variable("Boolean!", &Given::Json(json!(value)))
        } else {
            value.to_string()
        };
        format!(" @{name}(if: {condition})")
    }

    /// Declares a variable with this value and returns how it is named.
    fn variable(&mut self, ty: &str, value: &Given) -> String {
        let name = self.name("v");
        let default = if self.chance(10) {
            format!(" = {}", value.written())
        } else {
            String::new()
        };
        let _ = write!(self.declared, "${name}: {ty}{default} ");
        // Some are missing.
        if self.chance(95) {
            self.variables.insert(name.clone(), value.sent());
        }
        format!("${name}")
    }

    /// A value of this type for an argument or an input field of this name.
    fn value(&mut self, ty: &Type, name: &str, depth: usize) -> Given {
        if ty.nullable && self.chance(4) {
            return Given::Json(serde_json::Value::Null);
        }
        if self.chance(20) {
            let value = self.plain(ty, name, depth + 100);
            let variable = self.variable(&ty.to_string(), &value);
            return Given::Variable(variable.trim_start_matches('$').to_owned());
        }
        self.plain(ty, name, depth)
    }

    /// As [`Maker::value`], without variables from a depth of 100 on.
    fn plain(&mut self, ty: &Type, name: &str, depth: usize) -> Given {
        let inner = |maker: &mut Self, ty: &Type, name: &str| {
            if depth >= 100 {
                maker.plain(ty, name, depth + 1)
            } else {
                maker.value(ty, name, depth + 1)
            }
        };
        match &ty.base {
            BaseType::List(item) => {
                let count = self.random.random_range(0..4);
                Given::List((0..count).map(|_| inner(self, item, name)).collect())
            }
            BaseType::Named(ty) => {
                if let Some(values) = self.types.enums.get(ty.as_str()) {
                    return Given::Enum(self.pick(values).clone());
                }
                if let Some((input, is_one_of)) = self.types.inputs.get(ty.as_str()) {
                    let fields: Vec<_> = input.fields.iter().map(|field| &field.node).collect();
                    let mut given = Vec::new();
                    if *is_one_of {
                        let field = *self.pick(&fields);
                        let ty = Type {
                            nullable: false,
                            ..field.ty.node.clone()
                        };
                        given.push((
                            field.name.node.to_string(),
                            inner(self, &ty, &field.name.node),
                        ));
                        return Given::Object(given);
                    }
                    for field in fields {
                        if !field.ty.node.nullable && field.default_value.is_none()
                            || self.chance(25)
                        {
                            let value = inner(self, &field.ty.node, &field.name.node);
                            given.push((field.name.node.to_string(), value));
                        }
                    }
                    return Given::Object(given);
                }
                Given::Json(self.scalar(ty, name))
            }
        }
    }

    fn scalar(&mut self, ty: &str, name: &str) -> serde_json::Value {
        let number = self.random.random_range(0..8);
        match ty {
            "Boolean" => json!(self.chance(50)),
            "Int" => json!(*self.pick(&[0, 1, 2, 3, 5, 20, -1, 501])),
            "ID" => match self.random.random_range(0..20) {
                0 => json!("x"),
                1 => json!("Project:3"),
                2 => json!(number),
                3..9 if name.starts_with("organization") => json!(format!("Organization:{number}")),
                3..9 => json!(format!("User:{number}")),
                9..12 => json!(format!("Organization:{number}")),
                12..14 => json!(format!("UserOption:{number}")),
                _ => json!(number.to_string()),
            },
            _ => match name {
                "usernames" | "query" => {
                    json!(*self.pick(&["ada", "bob", "cyd", "nobody", "Ä\"\\"]))
                }
                "emails" => json!(*self.pick(&["ada@example.com", "bob@example.com", "x"])),
                "slug" => json!(*self.pick(&["org1", "org2", "none"])),
                "after" | "before" => json!(*self.pick(&["MTppOjI", "MTppOjQ", "nonsense"])),
                "keys" | "key" => json!(*self.pick(&["theme", "broken", "deep", "nothing"])),
                _ => json!(*self.pick(&["", "ada", "\u{1}", "𝄞"])),
            },
        }
    }
}

fn innermost(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => innermost(item),
    }
}
