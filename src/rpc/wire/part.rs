//! What belongs to users, as Sentry's silos tell each other of it.

use chrono::{DateTime, TimeDelta};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;

use super::moment::Moment;
use crate::domain::{
    Authenticator, AuthenticatorId, AuthenticatorKind, Avatar, AvatarKind, JsonText, OptionScope,
    OrganizationId, ProjectId, Secret, StoredValue, UserEmail, UserEmailId, UserId, UserOption,
    UserOptionId,
};

/// The picture of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcAvatar {
    /// The row's id.
    pub id: i64,
    /// The uploaded file.
    pub file_id: Option<i64>,
    /// The name under which an uploaded picture is served.
    pub ident: String,
    /// Sentry's name of where the picture comes from.
    pub avatar_type: String,
}

impl Default for RpcAvatar {
    fn default() -> Self {
        Self {
            id: 0,
            file_id: None,
            ident: String::new(),
            avatar_type: AvatarKind::Letter.name().to_owned(),
        }
    }
}

impl From<Avatar> for RpcAvatar {
    fn from(avatar: Avatar) -> Self {
        Self {
            id: avatar.id,
            file_id: avatar.file_id,
            ident: avatar.ident,
            avatar_type: avatar.kind.name().to_owned(),
        }
    }
}

impl From<RpcAvatar> for Avatar {
    fn from(avatar: RpcAvatar) -> Self {
        let kinds = [AvatarKind::Upload, AvatarKind::Gravatar];
        Self {
            id: avatar.id,
            file_id: avatar.file_id,
            ident: avatar.ident,
            kind: kinds
                .into_iter()
                .find(|kind| kind.name() == avatar.avatar_type)
                .unwrap_or_default(),
        }
    }
}

/// An address of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcUserEmail {
    /// The id.
    pub id: i64,
    /// The address.
    pub email: String,
    /// Whether the user has shown that it is theirs.
    pub is_verified: bool,
}

impl From<UserEmail> for RpcUserEmail {
    fn from(email: UserEmail) -> Self {
        Self {
            id: email.id.0,
            email: email.email,
            is_verified: email.is_verified,
        }
    }
}

impl From<RpcUserEmail> for UserEmail {
    fn from(email: RpcUserEmail) -> Self {
        Self {
            id: UserEmailId(email.id),
            email: email.email,
            is_verified: email.is_verified,
        }
    }
}

/// A second factor of a user, its secret material with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcAuthenticator {
    /// The id.
    pub id: i64,
    /// Whose it is.
    pub user_id: UserId,
    /// When it was enrolled.
    pub created_at: Moment,
    /// When it was last used.
    pub last_used_at: Option<Moment>,
    /// The stored number of its kind.
    #[serde(rename = "type")]
    pub kind: i32,
    /// The secret material, as it is stored.
    pub config: Option<Secret<Value>>,
}

impl Default for RpcAuthenticator {
    fn default() -> Self {
        /// From 1970 to 2000, which is what Sentry takes where it knows nothing.
        const THIRTY_YEARS: TimeDelta = TimeDelta::seconds(946_684_800);
        Self {
            id: 0,
            user_id: UserId(-1),
            created_at: (DateTime::UNIX_EPOCH + THIRTY_YEARS).into(),
            last_used_at: None,
            kind: -1,
            config: None,
        }
    }
}

impl From<Authenticator> for RpcAuthenticator {
    fn from(factor: Authenticator) -> Self {
        Self {
            id: factor.id.0,
            user_id: factor.user_id,
            created_at: factor.created_at.into(),
            last_used_at: factor.last_used_at.map(Moment::from),
            kind: factor.kind.stored(),
            config: factor.config,
        }
    }
}

impl From<RpcAuthenticator> for Authenticator {
    fn from(factor: RpcAuthenticator) -> Self {
        Self {
            id: AuthenticatorId(factor.id),
            user_id: factor.user_id,
            kind: AuthenticatorKind::from_stored(factor.kind),
            created_at: factor.created_at.time(),
            last_used_at: factor.last_used_at.map(Moment::time),
            config: factor.config,
        }
    }
}

/// A stored option.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcUserOption {
    /// The id.
    pub id: UserOptionId,
    /// Whose it is.
    pub user_id: UserId,
    /// To what it is set; null also where the stored value has a form that cannot be read.
    pub value: Value,
    /// What it sets.
    pub key: SmolStr,
    /// For which project.
    pub project_id: Option<ProjectId>,
    /// For which organization.
    pub organization_id: Option<OrganizationId>,
    /// Whether the stored value has a form that cannot be read; told by gateways alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unreadable: bool,
}

impl Default for RpcUserOption {
    fn default() -> Self {
        Self {
            id: UserOptionId(-1),
            user_id: UserId(-1),
            value: Value::Null,
            key: SmolStr::default(),
            project_id: None,
            organization_id: None,
            unreadable: false,
        }
    }
}

impl RpcUserOption {
    /// An option as Sentry is told of one.
    #[must_use]
    pub fn for_sentry(option: UserOption) -> Self {
        Self {
            unreadable: false,
            ..Self::for_gateway(option)
        }
    }

    /// An option as a gateway is told of one.
    #[must_use]
    pub fn for_gateway(option: UserOption) -> Self {
        let (value, unreadable) = match option.value {
            StoredValue::Json(value) => (value.to_value(), false),
            StoredValue::Unreadable => (Value::Null, true),
        };
        Self {
            id: option.id,
            user_id: option.user_id,
            value,
            key: option.key,
            project_id: option.scope.project_id,
            organization_id: option.scope.organization_id,
            unreadable,
        }
    }
}

impl From<RpcUserOption> for UserOption {
    fn from(option: RpcUserOption) -> Self {
        Self {
            id: option.id,
            user_id: option.user_id,
            key: option.key,
            value: if option.unreadable {
                StoredValue::Unreadable
            } else {
                StoredValue::Json(JsonText::from(&option.value))
            },
            scope: OptionScope {
                project_id: option.project_id,
                organization_id: option.organization_id,
            },
        }
    }
}
