//! The schema as data: what the engine knows about its types and does not tell.
//!
//! It is read from the SDL that the engine prints, so there is nothing to keep in step.

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, Type, TypeKind, TypeSystemDefinition,
};
use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};

/// The types by which the schema describes itself; the engine's SDL leaves them out.
const INTROSPECTION: &str = "
type __Schema { description: String types: [__Type!]! queryType: __Type! mutationType: __Type
  subscriptionType: __Type directives: [__Directive!]! }
type __Type { kind: __TypeKind! name: String description: String specifiedByURL: String
  fields: [__Field!] interfaces: [__Type!] possibleTypes: [__Type!] enumValues: [__EnumValue!]
  inputFields: [__InputValue!] ofType: __Type isOneOf: Boolean }
type __Field { name: String! description: String args: [__InputValue!]! type: __Type!
  isDeprecated: Boolean! deprecationReason: String }
type __InputValue { name: String! description: String type: __Type! defaultValue: String
  isDeprecated: Boolean! deprecationReason: String }
type __EnumValue { name: String! description: String isDeprecated: Boolean! deprecationReason: String }
type __Directive { name: String! description: String isRepeatable: Boolean! locations: [__DirectiveLocation!]!
  args: [__InputValue!]! }
enum __TypeKind { SCALAR OBJECT INTERFACE UNION ENUM INPUT_OBJECT LIST NON_NULL }
enum __DirectiveLocation { QUERY }
";

/// The types of a schema by name.
#[derive(Debug)]
pub(super) struct SchemaModel {
    types: HashMap<String, TypeModel>,
}

#[derive(Debug)]
struct TypeModel {
    kind: Kind,
    fields: HashMap<String, FieldModel>,
    implements: HashSet<String>,
    /// Whether it is a page in Relay's form, whose objects are counted at the field that returns it.
    is_connection: bool,
}

/// What kind of type it is, as far as anything depends on it.
#[derive(Debug)]
pub(super) enum Kind {
    /// An object.
    Object,
    /// An interface or a union.
    Abstract,
    /// A scalar.
    Scalar,
    /// An enum with these values.
    Enum(HashSet<String>),
    /// An input object.
    Input {
        /// Its fields.
        fields: HashMap<String, InputField>,
        /// Whether exactly one of them must be given.
        one_of: bool,
    },
}

/// A field of an input object, or an argument.
#[derive(Debug)]
pub(super) struct InputField {
    /// Its type.
    pub(super) ty: Type,
    /// Whether it has a default.
    pub(super) has_default: bool,
}

/// A field of an object or an interface.
#[derive(Debug)]
pub(super) struct FieldModel {
    /// Its type.
    pub(super) ty: Type,
    /// The minimum cost of reading it.
    pub(super) cost: u64,
    arguments: HashMap<String, InputField>,
}

impl FieldModel {
    /// The name of its type without lists and non-nulls around it.
    pub(super) fn ty_name(&self) -> &str {
        innermost(&self.ty)
    }

    /// Whether its type is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.ty.base, BaseType::List(_))
    }

    /// Whether it has an argument of this name.
    pub(super) fn has_argument(&self, name: &str) -> bool {
        self.arguments.contains_key(name)
    }

    /// Its arguments, with their names.
    pub(super) fn arguments(&self) -> impl Iterator<Item = (&str, &InputField)> {
        let arguments = self.arguments.iter();
        arguments.map(|(name, argument)| (name.as_str(), argument))
    }

    /// Its argument of this name.
    pub(super) fn argument(&self, name: &str) -> Option<&InputField> {
        self.arguments.get(name)
    }
}

/// The name of a type without lists and non-nulls around it.
pub(super) fn innermost(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => innermost(inner),
    }
}

impl SchemaModel {
    /// Reads `sdl`.
    pub(super) fn parse(sdl: &str) -> Result<Self, async_graphql::parser::Error> {
        let mut types = HashMap::new();
        for text in [sdl, INTROSPECTION] {
            for definition in parse_schema(text)?.definitions {
                if let TypeSystemDefinition::Type(definition) = definition {
                    let one_of = definition
                        .node
                        .directives
                        .iter()
                        .any(|d| d.node.name.node == "oneOf");
                    let model = TypeModel::new(definition.node.kind, one_of);
                    types.insert(definition.node.name.node.to_string(), model);
                }
            }
        }
        for scalar in ["Int", "Float", "String", "Boolean", "ID"] {
            types
                .entry(scalar.to_owned())
                .or_insert_with(|| TypeModel::of(Kind::Scalar));
        }
        if let Some(query) = types.get_mut("Query") {
            for (name, ty) in [("__schema", "__Schema!"), ("__type", "__Type")] {
                if let Some(ty) = Type::new(ty) {
                    query.fields.insert(
                        name.to_owned(),
                        FieldModel {
                            ty,
                            cost: 0,
                            arguments: HashMap::new(),
                        },
                    );
                }
            }
        }
        Ok(Self { types })
    }

    /// Records the minimum costs of fields, by type.
    pub(super) fn note_reads(&mut self, reads: &[(&str, &[(&str, u64)])]) {
        for (ty, fields) in reads {
            let Some(ty) = self.types.get_mut(*ty) else {
                continue;
            };
            for (field, cost) in *fields {
                if let Some(field) = ty.fields.get_mut(*field) {
                    field.cost = *cost;
                }
            }
        }
    }

    /// The field `field` of the type `parent`.
    pub(super) fn field(&self, parent: &str, field: &str) -> Option<&FieldModel> {
        self.types.get(parent)?.fields.get(field)
    }

    /// The kind of the type `name`.
    pub(super) fn kind(&self, name: &str) -> Option<&Kind> {
        self.types.get(name).map(|ty| &ty.kind)
    }

    /// Whether the type is an interface or a union.
    pub(super) fn is_abstract(&self, name: &str) -> bool {
        matches!(self.kind(name), Some(Kind::Abstract))
    }

    /// Whether the type has fields to select.
    pub(super) fn is_composite(&self, name: &str) -> bool {
        matches!(self.kind(name), Some(Kind::Abstract | Kind::Object))
    }

    /// Whether the type is a page in Relay's form: one that has a `pageInfo`.
    pub(super) fn is_connection(&self, name: &str) -> bool {
        self.types.get(name).is_some_and(|ty| ty.is_connection)
    }

    /// Whether an object of the type `object` is one of the type `condition` too.
    pub(super) fn is_a(&self, object: &str, condition: &str) -> bool {
        object == condition
            || self
                .types
                .get(object)
                .is_some_and(|ty| ty.implements.contains(condition))
    }
}

impl TypeModel {
    fn of(kind: Kind) -> Self {
        Self {
            kind,
            fields: HashMap::new(),
            implements: HashSet::new(),
            is_connection: false,
        }
    }

    fn new(kind: TypeKind, one_of: bool) -> Self {
        match kind {
            TypeKind::Scalar => Self::of(Kind::Scalar),
            TypeKind::Union(_) => Self::of(Kind::Abstract),
            TypeKind::Enum(ty) => {
                let values = ty
                    .values
                    .into_iter()
                    .map(|value| value.node.value.node.to_string());
                Self::of(Kind::Enum(values.collect()))
            }
            TypeKind::InputObject(ty) => {
                let fields = ty
                    .fields
                    .into_iter()
                    .map(|field| input_field(field.node))
                    .collect();
                Self::of(Kind::Input { fields, one_of })
            }
            TypeKind::Object(ty) => Self {
                kind: Kind::Object,
                is_connection: ty.fields.iter().any(|field| {
                    field.node.name.node == "pageInfo"
                        && innermost(&field.node.ty.node) == "PageInfo"
                }),
                fields: ty
                    .fields
                    .into_iter()
                    .map(|field| output_field(field.node))
                    .collect(),
                implements: ty
                    .implements
                    .into_iter()
                    .map(|name| name.node.to_string())
                    .collect(),
            },
            TypeKind::Interface(ty) => Self {
                kind: Kind::Abstract,
                fields: ty
                    .fields
                    .into_iter()
                    .map(|field| output_field(field.node))
                    .collect(),
                implements: HashSet::new(),
                is_connection: false,
            },
        }
    }
}

fn input_field(field: InputValueDefinition) -> (String, InputField) {
    let has_default = field.default_value.is_some();
    (
        field.name.node.to_string(),
        InputField {
            ty: field.ty.node,
            has_default,
        },
    )
}

fn output_field(field: FieldDefinition) -> (String, FieldModel) {
    let arguments = field
        .arguments
        .into_iter()
        .map(|argument| input_field(argument.node));
    (
        field.name.node.to_string(),
        FieldModel {
            ty: field.ty.node,
            cost: 0,
            arguments: arguments.collect(),
        },
    )
}
