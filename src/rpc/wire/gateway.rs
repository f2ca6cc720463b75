//! What a gateway asks a gateway, and Sentry answers nowhere.
//!
//! The service key is `user_gateway`, and a call that does not say that a gateway makes it finds
//! nothing there. Arguments are named as Sentry names its own. Results are the directory's nouns in
//! the JSON form that their serialization gives them: fields by their names, kinds in snake case,
//! pairs as arrays of two, times in RFC 3339. A change of that form raises [`super::VERSION`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::calls;
use super::filter::{Key, UserFilterArgs};
use super::loose;
use crate::auth::{StoredToken, Subject, TokenKind, TokenOwner};
use crate::domain::{
    AuthIdentity, AvatarKind, DisplayName, Membership, Organization, OrganizationId,
    OrganizationMember, Page, PageRequest, PictureUrl, ProjectId, Result, Role, SetOptionResult,
    UserId, UserOption, UserOptionId, UserOrder, UserProfile, UserUpdate, Username, Viewer,
};

calls! { "user_gateway":
    /// A page of account rows.
    PageUsers = "page_users", repeatable: true -> Page<UserProfile> {
        /// Which users. Without conditions it is everybody.
        filter: UserFilterArgs,
        /// In which order.
        order: UserOrder,
        /// Which part of the list.
        page: PageRequest,
        /// For whom.
        viewer: Viewer,
    }

    /// How many users a list holds.
    CountUsers = "count_users", repeatable: true -> u64 {
        /// Which users. Without conditions it is everybody.
        filter: UserFilterArgs,
        /// For whom.
        viewer: Viewer,
    }

    /// The single sign-on identities of users.
    GetIdentities = "get_identities", repeatable: true -> Vec<AuthIdentity> {
        /// Whose.
        user_ids: Vec<UserId>,
    }

    /// The roles of users.
    GetRoles = "get_roles", repeatable: true -> Vec<(UserId, Role)> {
        /// Whose.
        user_ids: Vec<UserId>,
    }

    /// Changes a user; null if there is no such user.
    UpdateUser = "update_user", repeatable: true -> Option<UserProfile> {
        /// Who.
        user_id: UserId,
        /// What to change.
        attrs: GatewayUpdateArgs,
    }

    /// Every option of users, whatever its scope.
    GetAllUserOptions = "get_all_user_options", repeatable: true -> Vec<UserOption> {
        /// Whose.
        user_ids: Vec<UserId>,
    }

    /// The options with these ids.
    GetUserOptionsById = "get_user_options_by_id", repeatable: true -> Vec<UserOption> {
        /// The ids.
        option_ids: Vec<UserOptionId>,
    }

    /// Sets an option, and says whether that changed anything. A second time it does not, so if the
    /// first answer was lost, the result is right and what is said of it may be too modest.
    SetUserOption = "set_user_option", repeatable: true -> SetOptionResult {
        /// Whose.
        user_id: UserId,
        /// To what; null is a value.
        value: Value,
        /// What.
        key: String,
        /// For this project.
        #[serde(default)]
        project_id: Option<ProjectId>,
        /// For this organization.
        #[serde(default)]
        organization_id: Option<OrganizationId>,
    }

    /// Deletes options, and returns the ids that existed: a second time there are none.
    DeleteUserOptions = "delete_user_options", repeatable: false -> Vec<UserOptionId> {
        /// The ids.
        option_ids: Vec<UserOptionId>,
    }

    /// The organizations of users, whatever the state of an invitation.
    GetMemberships = "get_memberships", repeatable: true -> Vec<Membership> {
        /// Whose.
        user_ids: Vec<UserId>,
        /// Active organizations only.
        #[serde(default)]
        only_visible: bool,
    }

    /// The organizations with these ids.
    GetOrganizationsById = "get_organizations_by_id", repeatable: true -> Vec<Organization> {
        /// The ids.
        organization_ids: Vec<OrganizationId>,
    }

    /// The organization with this slug.
    GetOrganizationBySlug = "get_organization_by_slug",
    repeatable: true -> Option<Organization> {
        /// The slug.
        slug: String,
    }

    /// A page of the members of each of these organizations.
    GetMembers = "get_members",
    repeatable: true -> Vec<(OrganizationId, Page<OrganizationMember>)> {
        /// The organizations.
        organization_ids: Vec<OrganizationId>,
        /// Which part of each list.
        page: PageRequest,
    }

    /// How many members each of these organizations has.
    CountMembers = "count_members", repeatable: true -> Vec<(OrganizationId, u64)> {
        /// The organizations.
        organization_ids: Vec<OrganizationId>,
    }

    /// The organizations that a user has joined.
    GetJoined = "get_joined", repeatable: true -> Vec<OrganizationId> {
        /// Who.
        user_id: UserId,
    }

    /// Those of some users who have joined an organization that a user has joined too.
    GetColleagues = "get_colleagues", repeatable: true -> Vec<UserId> {
        /// Whose.
        user_id: UserId,
        /// Among whom.
        others: Vec<UserId>,
    }

    /// A token by the hash of its text, which itself never travels.
    FindToken = "find_token", repeatable: true -> Option<StoredToken> {
        /// The lower-case hexadecimal SHA-256 of the text.
        hash: String,
        /// What kind of token it is, as its text says.
        kind: TokenKind,
    }

    /// The user whom an identity provider names, as the owner of a token.
    FindTokenOwner = "find_token_owner", repeatable: true -> Option<TokenOwner> {
        /// How the provider names the user.
        subject: Subject,
    }
}

/// What to change of a user; what is not there stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayUpdateArgs {
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The username.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Whether the account may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// The stored number of the account's own kind of picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_type: Option<i16>,
    /// The address of the account's own picture; null removes it.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub avatar_url: Key<String>,
}

impl From<&UserUpdate> for GatewayUpdateArgs {
    fn from(update: &UserUpdate) -> Self {
        Self {
            name: update.name.as_ref().map(|name| name.as_str().to_owned()),
            username: update
                .username
                .as_ref()
                .map(|name| name.as_str().to_owned()),
            is_active: update.is_active,
            avatar_type: update.avatar_type.map(AvatarKind::stored),
            avatar_url: match &update.avatar_url {
                None => Key::Absent,
                Some(None) => Key::Null,
                Some(Some(url)) => Key::Given(url.as_str().to_owned()),
            },
        }
    }
}

impl TryFrom<GatewayUpdateArgs> for UserUpdate {
    type Error = crate::domain::Error;

    fn try_from(args: GatewayUpdateArgs) -> Result<Self> {
        let name = args.name.map(|name| DisplayName::parse(&name, &["name"]));
        let username = args
            .username
            .map(|name| Username::parse(&name, &["username"]));
        let avatar_url = match args.avatar_url {
            Key::Absent => None,
            Key::Null => Some(None),
            Key::Given(url) => Some(Some(PictureUrl::parse(&url, &["avatarUrl"])?)),
        };
        Ok(Self {
            name: name.transpose()?,
            username: username.transpose()?,
            is_active: args.is_active,
            avatar_type: args.avatar_type.map(AvatarKind::from_stored),
            avatar_url,
        })
    }
}

loose::objects!(UserOrder, PageRequest, GatewayUpdateArgs);
loose::as_deserialized!(Viewer, TokenKind, Subject);
