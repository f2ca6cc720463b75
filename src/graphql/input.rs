//! Inputs, and how they become domain types.

use std::borrow::Cow;

use async_graphql::registry::Registry;
use async_graphql::{
    Enum, ID, InputObject, InputType, InputValueError, InputValueResult, MaybeUndefined,
    OneofObject, Value,
};

use super::id::GlobalId;
use super::object::AuthenticatorKind;
use crate::config::Limits;
use crate::domain::{
    AuthenticatorFilter as DomainAuthenticatorFilter, Direction, Invalid, InvalidCode, JsonText,
    OptionScope, OptionScopeFilter, OrderField, Result, UserFilter as DomainUserFilter, UserId,
    UserOptionFilter as DomainUserOptionFilter, UserOrder as DomainUserOrder,
};

/// Which users are wanted. Every field that is given must hold; a user appears once however many
/// addresses match. A field may be left out but not be null.
#[derive(Debug, Clone, Default, InputObject)]
pub(super) struct UserFilter {
    /// The id is one of these.
    ids: MaybeUndefined<Vec<ID>>,
    /// An address of the user, primary or not, is one of these, ignoring case. Addresses are
    /// private: those who may not read them find themselves alone.
    emails: MaybeUndefined<Vec<String>>,
    /// An address of the user is verified, or is not; the same address that `emails` matches, if
    /// that is given. Private, as `emails` is.
    email_verified: MaybeUndefined<bool>,
    /// The username is one of these, exactly.
    usernames: MaybeUndefined<Vec<String>>,
    /// The user belongs to this organization.
    organization_id: MaybeUndefined<ID>,
    /// The account may be used, or may not. Without this both are found.
    is_active: MaybeUndefined<bool>,
    /// The name, the username or an address contains this text, ignoring case; every character
    /// stands for itself. Addresses count for those who may read them.
    query: MaybeUndefined<String>,
    /// What second factors the user has. Private, as `emails` is.
    authenticators: MaybeUndefined<AuthenticatorFilter>,
}

/// A filter as an argument. Its default, as the schema shows it, holds the fields that are given and
/// not a null for each that is not. Its lists, which may be long, are moved; the derived reading of
/// an object copies every field.
#[derive(Debug, Default)]
pub(super) struct GivenFilter(pub(super) UserFilter);

impl InputType for GivenFilter {
    type RawValueType = Self;

    fn type_name() -> Cow<'static, str> {
        UserFilter::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        UserFilter::create_type_info(registry)
    }

    fn parse(mut value: Option<Value>) -> InputValueResult<Self> {
        let mut list = |name| match &mut value {
            Some(Value::Object(fields)) => fields.swap_remove(name),
            _ => None,
        };
        let [ids, emails, usernames] = ["ids", "emails", "usernames"].map(&mut list);
        let rest: UserFilter = InputType::parse(value).map_err(InputValueError::propagate)?;
        Ok(Self(UserFilter {
            ids: InputType::parse(ids).map_err(InputValueError::propagate)?,
            emails: InputType::parse(emails).map_err(InputValueError::propagate)?,
            usernames: InputType::parse(usernames).map_err(InputValueError::propagate)?,
            ..rest
        }))
    }

    fn to_value(&self) -> Value {
        match self.0.to_value() {
            Value::Object(fields) => Value::Object(
                fields
                    .into_iter()
                    .filter(|(_, value)| *value != Value::Null)
                    .collect(),
            ),
            value => value,
        }
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }
}

/// A condition on second factors.
#[derive(Debug, Clone, OneofObject)]
pub(super) enum AuthenticatorFilter {
    /// The user has a second factor of one of these kinds; an empty list finds nobody.
    AnyOf(Vec<AuthenticatorKind>),
    /// The user has no second factor at all, not even recovery codes. Only `true` makes sense.
    None(bool),
}

/// What users are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum UserOrderField {
    /// The id.
    Id,
    /// The username, in the collation of the database.
    Username,
    /// When the account was created.
    DateJoined,
}

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum OrderDirection {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// The order of a list of users. Equal values follow their id.
#[derive(Debug, Clone, Copy, InputObject)]
pub(super) struct UserOrder {
    /// By what.
    field: UserOrderField,
    /// Which way.
    #[graphql(default_with = "OrderDirection::Asc")]
    direction: OrderDirection,
}

impl Default for UserOrder {
    fn default() -> Self {
        Self {
            field: UserOrderField::Id,
            direction: OrderDirection::Asc,
        }
    }
}

impl From<UserOrder> for DomainUserOrder {
    fn from(order: UserOrder) -> Self {
        Self {
            field: match order.field {
                UserOrderField::Id => OrderField::Id,
                UserOrderField::Username => OrderField::Username,
                UserOrderField::DateJoined => OrderField::DateJoined,
            },
            direction: match order.direction {
                OrderDirection::Asc => Direction::Ascending,
                OrderDirection::Desc => Direction::Descending,
            },
        }
    }
}

/// The value of a field that may be left out but not be null.
fn given<T>(value: MaybeUndefined<T>, name: &str) -> Result<Option<T>> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Value(value) => Ok(Some(value)),
        MaybeUndefined::Null => Err(Invalid::format(
            format!("`{name}` is null; leave it out where it should not matter"),
            &["filter", name],
        )
        .into()),
    }
}

/// Refuses a list that is longer than allowed.
pub(super) fn check_length(length: usize, limits: &Limits, path: &[&str]) -> Result<()> {
    if length <= limits.list_items {
        return Ok(());
    }
    Err(Invalid::new(
        InvalidCode::TooLong,
        format!(
            "the list has {length} items, more than the {} allowed; ask in parts",
            limits.list_items
        ),
        path,
    )
    .into())
}

/// Reads a list of ids of one type.
pub(super) fn parse_ids<T: GlobalId>(ids: &[ID], limits: &Limits, path: &[&str]) -> Result<Vec<T>> {
    check_length(ids.len(), limits, path)?;
    let parse = |(i, id): (usize, &ID)| {
        if let Some(parsed) = T::read(id) {
            return Ok(parsed);
        }
        let place = i.to_string();
        let mut at = path.to_vec();
        at.push(&place);
        T::parse(id, &at)
    };
    ids.iter().enumerate().map(parse).collect()
}

impl UserFilter {
    pub(super) fn parse(self, limits: &Limits) -> Result<DomainUserFilter> {
        let user_ids = given(self.ids, "ids")?
            .map(|ids| parse_ids(&ids, limits, &["filter", "ids"]))
            .transpose()?;
        let emails = given(self.emails, "emails")?;
        let usernames = given(self.usernames, "usernames")?;
        for (list, name) in [(&emails, "emails"), (&usernames, "usernames")] {
            check_length(list.as_ref().map_or(0, Vec::len), limits, &["filter", name])?;
        }
        let organization_id = given(self.organization_id, "organizationId")?
            .map(|id| GlobalId::parse(&id, &["filter", "organizationId"]))
            .transpose()?;
        let query = given(self.query, "query")?;
        if query
            .as_ref()
            .is_some_and(|query| query.chars().count() > 200)
        {
            return Err(Invalid::new(
                InvalidCode::TooLong,
                "a query has at most 200 characters",
                &["filter", "query"],
            )
            .into());
        }
        let authenticators = match given(self.authenticators, "authenticators")? {
            None => None,
            Some(AuthenticatorFilter::None(true)) => Some(DomainAuthenticatorFilter::None),
            Some(AuthenticatorFilter::None(false)) => {
                return Err(Invalid::format(
                    "`none: false` says nothing; name the kinds in `anyOf`, or give `none: true`",
                    &["filter", "authenticators", "none"],
                )
                .into());
            }
            Some(AuthenticatorFilter::AnyOf(kinds)) => {
                check_length(kinds.len(), limits, &["filter", "authenticators", "anyOf"])?;
                let kinds = kinds
                    .into_iter()
                    .filter_map(AuthenticatorKind::stored)
                    .collect();
                Some(DomainAuthenticatorFilter::AnyOf(kinds))
            }
        };
        Ok(DomainUserFilter {
            user_ids,
            is_active: given(self.is_active, "isActive")?,
            organization_id,
            email_verified: given(self.email_verified, "emailVerified")?,
            emails,
            usernames,
            query,
            authenticators,
            ..DomainUserFilter::default()
        })
    }
}

/// What an option applies to.
#[derive(Debug, Clone, OneofObject)]
pub(super) enum UserOptionScope {
    /// Everything. Only `true` makes sense.
    Global(bool),
    /// This project.
    ProjectId(ID),
    /// This organization.
    OrganizationId(ID),
}

impl UserOptionScope {
    /// The scope; everything, if there is none.
    pub(super) fn parse(scope: Option<Self>, path: &[&str]) -> Result<OptionScope> {
        let within = |name| {
            let mut path = path.to_vec();
            path.push(name);
            path
        };
        match scope {
            None | Some(Self::Global(true)) => Ok(OptionScope::GLOBAL),
            Some(Self::Global(false)) => Err(Invalid::format(
                "`global: false` is no scope; give `global: true`, `projectId` or `organizationId`",
                &within("global"),
            )
            .into()),
            Some(Self::ProjectId(id)) => {
                GlobalId::parse(&id, &within("projectId")).map(OptionScope::project)
            }
            Some(Self::OrganizationId(id)) => {
                GlobalId::parse(&id, &within("organizationId")).map(OptionScope::organization)
            }
        }
    }
}

/// Which options are wanted.
#[derive(Debug, Clone, InputObject)]
pub(super) struct UserOptionFilter {
    /// Of these users.
    user_ids: Vec<ID>,
    /// With one of these keys. Without this every key.
    keys: MaybeUndefined<Vec<String>>,
    /// With this scope. Without this and without `projectIds`, those that apply to everything.
    scope: MaybeUndefined<UserOptionScope>,
    /// For any of these projects. Not together with `scope`.
    project_ids: MaybeUndefined<Vec<ID>>,
}

impl UserOptionFilter {
    pub(super) fn parse(self, limits: &Limits) -> Result<DomainUserOptionFilter> {
        let user_ids: Vec<UserId> = parse_ids(&self.user_ids, limits, &["filter", "userIds"])?;
        let keys = given(self.keys, "keys")?;
        check_length(
            keys.as_ref().map_or(0, Vec::len),
            limits,
            &["filter", "keys"],
        )?;
        let scope = given(self.scope, "scope")?;
        let scope = match given(self.project_ids, "projectIds")? {
            Some(_) if scope.is_some() => {
                return Err(Invalid::format(
                    "give `scope` or `projectIds`, not both",
                    &["filter", "projectIds"],
                )
                .into());
            }
            Some(ids) => {
                OptionScopeFilter::Projects(parse_ids(&ids, limits, &["filter", "projectIds"])?)
            }
            None => {
                OptionScopeFilter::Exactly(UserOptionScope::parse(scope, &["filter", "scope"])?)
            }
        };
        Ok(DomainUserOptionFilter {
            user_ids,
            keys,
            scope,
        })
    }
}

/// An organization by one of its names.
#[derive(Debug, Clone, OneofObject)]
pub(super) enum OrganizationBy {
    /// By its id.
    Id(ID),
    /// By its slug.
    Slug(String),
}

/// Whose account is wanted, and how it came.
#[derive(Debug, Clone, InputObject)]
pub(super) struct GetOrCreateUserByEmailInput {
    /// The primary address. It is matched ignoring case and kept as given.
    pub(super) email: String,
    /// The identity at a single sign-on provider that picks one of several accounts with this
    /// address.
    pub(super) ident: Option<String>,
    /// Who sent the user; told to those who listen for signups.
    pub(super) referrer: Option<String>,
}

/// An option and its value.
#[derive(Debug, Clone, InputObject)]
pub(super) struct SetUserOptionInput {
    /// Whose option.
    pub(super) user_id: ID,
    /// Its key, such as `theme`, of at most 64 characters.
    pub(super) key: String,
    /// Its value, of at most 64 KiB. Null is a value too; leaving it out is an error. The number of a
    /// user's options and the total size of their values are limited.
    pub(super) value: MaybeUndefined<JsonText>,
    /// What it applies to; everything, if left out.
    pub(super) scope: Option<UserOptionScope>,
}

/// Which options to delete.
#[derive(Debug, Clone, InputObject)]
pub(super) struct DeleteUserOptionsInput {
    /// Whose options.
    pub(super) user_id: ID,
    /// Their keys.
    pub(super) keys: Vec<String>,
    /// What they apply to; everything, if left out.
    pub(super) scope: Option<UserOptionScope>,
}

/// What to change of a user. What is left out stays.
#[derive(Debug, Clone, InputObject)]
pub(super) struct UpdateUserInput {
    /// Whom to change.
    pub(super) user_id: ID,
    /// The name for people, of at most 200 characters; it may be empty.
    pub(super) name: Option<String>,
    /// The username, of at most 128 characters; it must not be somebody else's.
    pub(super) username: Option<String>,
    /// Whether the account may be used. Only superusers and services may change this.
    pub(super) is_active: Option<bool>,
    /// The address of a picture, of at most 120 characters; null removes it.
    pub(super) avatar_url: MaybeUndefined<String>,
}

/// The address to mark as verified.
#[derive(Debug, Clone, InputObject)]
pub(super) struct VerifyUserEmailInput {
    /// Whose address.
    pub(super) user_id: ID,
    /// The address, matched ignoring case.
    pub(super) email: String,
}
