//! Global ids: the type's name and the database id, such as `User:1`.
//!
//! They are readable on purpose, for people type them into GraphiQL, but clients should treat
//! them as opaque. Where the type is known the bare database id is understood too.

use std::borrow::Cow;
use std::fmt;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, ID, OutputType, Positioned, ServerResult, Value};

use crate::domain::{Invalid, OrganizationId, ProjectId, Result, UserId, UserOptionId};

/// A global id in an answer, an `ID` of the schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Id {
    /// The name of the type in the schema.
    pub(super) ty: &'static str,
    /// The id in the database.
    pub(super) number: i64,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ty, self.number)
    }
}

impl OutputType for Id {
    fn type_name() -> Cow<'static, str> {
        <ID as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <ID as OutputType>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        _: &ContextSelectionSet<'_>,
        _: &Positioned<Field>,
    ) -> ServerResult<Value> {
        Ok(Value::String(self.to_string()))
    }
}

/// Something with a global id.
pub(super) trait GlobalId: Sized {
    /// The name of the type in the schema.
    const TYPE: &'static str;

    fn from_database_id(id: i64) -> Self;
    fn database_id(&self) -> i64;

    /// The global id.
    fn to_global(&self) -> Id {
        Id {
            ty: Self::TYPE,
            number: self.database_id(),
        }
    }

    /// Reads a global id of this type or a bare database id, if it is one.
    fn read(id: &ID) -> Option<Self> {
        let typed = id.strip_prefix(Self::TYPE);
        let digits = typed.and_then(|rest| rest.strip_prefix(':')).unwrap_or(id);
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty();
        let number = is_number.then(|| digits.parse().ok()).flatten();
        number.map(Self::from_database_id)
    }

    /// Reads a global id of this type or a bare database id, and says what is wrong with any other.
    fn parse(id: &ID, path: &[&str]) -> Result<Self> {
        Self::read(id).ok_or_else(|| {
            let problem = match id.split_once(':') {
                Some((ty, _)) if ty != Self::TYPE && NODE_TYPES.contains(&ty) => {
                    format!("the id of a {} is wanted and `{ty}` given", Self::TYPE)
                }
                _ => malformed(id),
            };
            let wanted = format!("{problem}; an id of the type looks like `{}:1`", Self::TYPE);
            Invalid::format(wanted, path).into()
        })
    }
}

fn malformed(id: &ID) -> String {
    let shown: String = id.chars().take(40).collect();
    format!("`{}` is not an id", shown.escape_debug())
}

/// The types that `node` finds.
const NODE_TYPES: [&str; 3] = ["User", "Organization", "UserOption"];

macro_rules! global_ids {
    ($($id:ident = $name:literal;)*) => {$(
        impl GlobalId for $id {
            const TYPE: &'static str = $name;

            fn from_database_id(id: i64) -> Self {
                Self(id)
            }

            fn database_id(&self) -> i64 {
                self.0
            }
        }
    )*};
}

global_ids! {
    UserId = "User";
    OrganizationId = "Organization";
    UserOptionId = "UserOption";
    ProjectId = "Project";
}

/// The id of a node of any type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeId {
    User(UserId),
    Organization(OrganizationId),
    UserOption(UserOptionId),
}

impl NodeId {
    /// Reads a global id; a bare number could be anything's.
    pub(super) fn parse(id: &ID, path: &[&str]) -> Result<Self> {
        match id.split_once(':').map(|(ty, _)| ty) {
            Some("User") => UserId::parse(id, path).map(Self::User),
            Some("Organization") => OrganizationId::parse(id, path).map(Self::Organization),
            Some("UserOption") => UserOptionId::parse(id, path).map(Self::UserOption),
            _ => Err(Invalid::format(
                format!("{}; an id looks like `User:1`", malformed(id)),
                path,
            )
            .into()),
        }
    }
}
