//! Global ids: the type's name and the database id, such as `User:1`.
//!
//! They are readable on purpose, for people type them into GraphiQL, but clients should treat
//! them as opaque. Where the type is known the bare database id is understood too.

use async_graphql::ID;

use crate::domain::{Invalid, OrganizationId, ProjectId, Result, UserId, UserOptionId};

/// Something with a global id.
pub(super) trait GlobalId: Sized {
    /// The name of the type in the schema.
    const TYPE: &'static str;

    fn from_database_id(id: i64) -> Self;
    fn database_id(&self) -> i64;

    /// The global id.
    fn to_global(&self) -> ID {
        ID(format!("{}:{}", Self::TYPE, self.database_id()))
    }

    /// Reads a global id of this type or a bare database id.
    fn parse(id: &ID, path: &[&str]) -> Result<Self> {
        let wanted = |problem: String| {
            Invalid::format(
                format!("{problem}; an id of the type looks like `{}:1`", Self::TYPE),
                path,
            )
        };
        let number = match id.split_once(':') {
            Some((ty, number)) if ty == Self::TYPE => number,
            Some((ty, _)) if NODE_TYPES.contains(&ty) => {
                return Err(wanted(format!(
                    "the id of a {} is wanted and `{ty}` given",
                    Self::TYPE
                ))
                .into());
            }
            Some(_) => return Err(wanted(malformed(id)).into()),
            None => id.as_str(),
        };
        let digits = number.bytes().all(|b| b.is_ascii_digit()) && !number.is_empty();
        let number = digits.then(|| number.parse().ok()).flatten();
        number
            .map(Self::from_database_id)
            .ok_or_else(|| wanted(malformed(id)).into())
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
