//! Filters, where it counts whether a key is there, and not what stands behind it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::loose::{self, Loose};
use crate::domain::{
    AuthenticatorFilter, AuthenticatorKind, Error, Invalid, OptionScope, OptionScopeFilter,
    OrganizationId, ProjectId, Result, UserFilter, UserId, UserOptionFilter,
};

/// A key of a map that may leave it out, and give null for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Key<T> {
    /// It is not there.
    #[default]
    Absent,
    /// It is null.
    Null,
    /// It has a value.
    Given(T),
}

impl<T> Key<T> {
    /// Whether the key is not there.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value; what is null is refused.
    pub(super) fn not_null(self, map: &str, name: &str) -> Result<Option<T>> {
        match self {
            Self::Absent => Ok(None),
            Self::Given(value) => Ok(Some(value)),
            Self::Null => Err(Error::Invalid(Invalid::format(
                format!("{name} is a key that must not be null"),
                &[map, name],
            ))),
        }
    }
}

impl<T> From<Option<T>> for Key<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Given)
    }
}

impl<T: Serialize> Serialize for Key<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent | Self::Null => serializer.serialize_none(),
            Self::Given(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: Loose> Deserialize<'de> for Key<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::read(deserializer)?.map_or(Self::Null, Self::Given))
    }
}

/// Which users are wanted; every key that is there is a condition. Keys that are not known are
/// left out of account, as Sentry does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UserFilterArgs {
    /// The id is one of these.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub user_ids: Key<Vec<UserId>>,
    /// `is_active` has this value; null finds nobody.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub is_active: Key<bool>,
    /// The user belongs to this organization; null finds those who belong to none.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub organization_id: Key<OrganizationId>,
    /// An address has this state; the one that `emails` matches, if that is there.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub email_verified: Key<bool>,
    /// An address is one of these, ignoring case.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub emails: Key<Vec<String>>,
    /// The name or an address contains this, ignoring case.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub query: Key<String>,
    /// A second factor is of one of these kinds; null finds users who have none.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub authenticator_types: Key<Vec<i64>>,
    /// The username is one of these, exactly; between gateways alone.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub usernames: Key<Vec<String>>,
    /// `query` is looked for in usernames too; between gateways alone.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub query_usernames: Key<bool>,
}

loose::objects!(UserFilterArgs, UserOptionFilterArgs);

impl UserFilterArgs {
    /// The same filter without the keys that only gateways know.
    #[must_use]
    pub fn of_sentry(self) -> Self {
        Self {
            usernames: Key::Absent,
            query_usernames: Key::Absent,
            ..self
        }
    }

    /// The filter that this stands for; `None` if nobody can fit it. A filter that names neither
    /// ids, addresses, usernames nor an organization, and a null that means nothing, is refused.
    pub fn into_anchored(self) -> Result<Option<UserFilter>> {
        let is_anchored = !(self.user_ids.is_absent()
            && self.organization_id.is_absent()
            && self.emails.is_absent()
            && self.usernames.is_absent());
        if is_anchored {
            return self.into_domain();
        }
        Err(Error::Invalid(Invalid::format(
            "a filter must name at least one of: user_ids, organization_id, emails, usernames",
            &["filter"],
        )))
    }

    /// As [`UserFilterArgs::into_anchored`], for lists that may hold everybody.
    pub fn into_domain(self) -> Result<Option<UserFilter>> {
        let finds_nobody = self.is_active == Key::Null;
        let (organization_id, without_organization) = match self.organization_id {
            Key::Absent => (None, false),
            Key::Null => (None, true),
            Key::Given(id) => (Some(id), false),
        };
        let authenticators = match self.authenticator_types {
            Key::Absent => None,
            Key::Null => Some(AuthenticatorFilter::None),
            Key::Given(kinds) => Some(AuthenticatorFilter::AnyOf(
                // A number beyond those that can be stored is nobody's kind.
                kinds
                    .into_iter()
                    .filter_map(|kind| i32::try_from(kind).ok())
                    .map(AuthenticatorKind::from_stored)
                    .collect(),
            )),
        };
        let searches_usernames = self.query_usernames == Key::Given(true);
        let query_spares_usernames = !self.query.is_absent() && !searches_usernames;
        let filter = UserFilter {
            user_ids: self.user_ids.not_null("filter", "user_ids")?,
            is_active: match self.is_active {
                Key::Given(is_active) => Some(is_active),
                Key::Absent | Key::Null => None,
            },
            organization_id,
            without_organization,
            email_verified: self.email_verified.not_null("filter", "email_verified")?,
            emails: self.emails.not_null("filter", "emails")?,
            usernames: self.usernames.not_null("filter", "usernames")?,
            query: self.query.not_null("filter", "query")?,
            query_spares_usernames,
            authenticators,
        };
        Ok((!finds_nobody).then_some(filter))
    }
}

impl From<&UserFilter> for UserFilterArgs {
    fn from(filter: &UserFilter) -> Self {
        let organization_id = if filter.without_organization {
            Key::Null
        } else {
            filter.organization_id.into()
        };
        let searches_usernames = filter.query.is_some() && !filter.query_spares_usernames;
        Self {
            user_ids: filter.user_ids.clone().into(),
            is_active: filter.is_active.into(),
            organization_id,
            email_verified: filter.email_verified.into(),
            emails: filter.emails.clone().into(),
            query: filter.query.clone().into(),
            authenticator_types: match &filter.authenticators {
                None => Key::Absent,
                Some(AuthenticatorFilter::None) => Key::Null,
                Some(AuthenticatorFilter::AnyOf(kinds)) => {
                    Key::Given(kinds.iter().map(|kind| i64::from(kind.stored())).collect())
                }
            },
            usernames: filter.usernames.clone().into(),
            query_usernames: searches_usernames.then_some(true).into(),
        }
    }
}

/// Which options are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserOptionFilterArgs {
    /// Of these users.
    #[serde(deserialize_with = "loose::read")]
    pub user_ids: Vec<UserId>,
    /// Of any of these projects, whatever the organization; the next two then count for nothing.
    #[serde(default, skip_serializing_if = "Key::is_absent")]
    pub project_ids: Key<Vec<ProjectId>>,
    /// Of this project; without it, and if it is null, of no project.
    #[serde(default, skip_serializing_if = "Key::is_absent")]
    pub project_id: Key<ProjectId>,
    /// Of this organization; without it, and if it is null, of no organization.
    #[serde(default, skip_serializing_if = "Key::is_absent")]
    pub organization_id: Key<OrganizationId>,
    /// With one of these keys.
    #[serde(default, skip_serializing_if = "Key::is_absent")]
    pub keys: Key<Vec<String>>,
    /// With this key, or one of `keys`.
    #[serde(default, skip_serializing_if = "Key::is_absent")]
    pub key: Key<String>,
}

impl TryFrom<UserOptionFilterArgs> for UserOptionFilter {
    type Error = Error;

    fn try_from(args: UserOptionFilterArgs) -> Result<Self> {
        let id = |key: Key<_>| match key {
            Key::Given(id) => Some(id),
            Key::Absent | Key::Null => None,
        };
        let scope = match args.project_ids.not_null("filter", "project_ids")? {
            Some(projects) => OptionScopeFilter::Projects(projects),
            None => OptionScopeFilter::Exactly(OptionScope {
                project_id: id(args.project_id),
                organization_id: match args.organization_id {
                    Key::Given(id) => Some(id),
                    Key::Absent | Key::Null => None,
                },
            }),
        };
        let mut keys = args.keys.not_null("filter", "keys")?;
        if let Some(key) = args.key.not_null("filter", "key")? {
            keys.get_or_insert_default().push(key);
        }
        Ok(Self {
            user_ids: args.user_ids,
            keys,
            scope,
        })
    }
}

impl From<&UserOptionFilter> for UserOptionFilterArgs {
    fn from(filter: &UserOptionFilter) -> Self {
        let (project_ids, scope) = match &filter.scope {
            OptionScopeFilter::Projects(ids) => (Key::Given(ids.clone()), OptionScope::GLOBAL),
            OptionScopeFilter::Exactly(scope) => (Key::Absent, *scope),
        };
        Self {
            user_ids: filter.user_ids.clone(),
            project_ids,
            project_id: scope.project_id.into(),
            organization_id: scope.organization_id.into(),
            keys: filter.keys.clone().into(),
            key: Key::Absent,
        }
    }
}
