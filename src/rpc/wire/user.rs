//! The methods of Sentry's `user` service.
//!
//! Users come by id, each once, where Sentry repeats one whose several addresses or second factors
//! match and promises no order. What else a method does is Sentry's, argument for argument.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::calls;
use super::filter::{Key, UserFilterArgs};
use super::loose::{self, Loose};
use super::model::{RpcUser, RpcVerifyUserEmail, UserCreateResult};
use super::organization::RpcOrganizationMapping;
use super::part::RpcAvatar;
use super::profile::RpcUserProfile;
use crate::domain::{
    AvatarKind, Error, OrganizationId, PictureUrl, Serializer, UserId, UserUpdate,
};

const fn yes() -> bool {
    true
}

calls! { "user":
    /// Users in the form of Sentry's REST API.
    SerializeMany = "serialize_many", repeatable: true -> Vec<Value> {
        /// Which users.
        filter: UserFilterArgs,
        /// For whom; private parts are shown to the user and to superusers.
        #[serde(default, serialize_with = "in_request")]
        as_user: Option<Box<RpcUser>>,
        /// For whom if `as_user` does not say.
        #[serde(default)]
        auth_context: Option<AuthenticationContext>,
        /// In which form; null is that of lists.
        #[serde(default)]
        serializer: Option<UserSerializeType>,
    }

    /// The users of a filter with all that belongs to them.
    GetMany = "get_many", repeatable: true -> Vec<RpcUser> {
        /// Which users.
        filter: UserFilterArgs,
    }

    /// The ids of the users of a filter.
    GetManyIds = "get_many_ids", repeatable: true -> Vec<UserId> {
        /// Which users.
        filter: UserFilterArgs,
    }

    /// The account rows of the users of a filter.
    GetManyProfiles = "get_many_profiles", repeatable: true -> Vec<RpcUserProfile> {
        /// Which users.
        filter: UserFilterArgs,
    }

    /// A user for each of their addresses that is one of these, ignoring case; `email` is then
    /// that address.
    GetManyByEmail = "get_many_by_email", repeatable: true -> Vec<RpcUser> {
        /// The addresses.
        emails: Vec<String>,
        /// Active users only; false finds both.
        #[serde(default = "yes")]
        is_active: bool,
        /// Verified addresses only; false finds both.
        #[serde(default = "yes")]
        is_verified: bool,
        /// Members of this organization only.
        #[serde(default)]
        organization_id: Option<OrganizationId>,
    }

    /// The user with this username, ignoring case where nobody has exactly it; else those whose
    /// primary address it is.
    GetByUsername = "get_by_username", repeatable: true -> Vec<RpcUser> {
        /// The username or the address.
        username: String,
        /// Leave out accounts whose password is the mark of an unusable one.
        #[serde(default = "yes")]
        with_valid_password: bool,
        /// `is_active` has this value.
        #[serde(default)]
        is_active: Option<bool>,
    }

    /// Those of the usernames that belong to somebody, exactly.
    GetExistingUsernames = "get_existing_usernames", repeatable: true -> Vec<String> {
        /// The usernames.
        usernames: Vec<String>,
    }

    /// The organizations that the user belongs to, whatever the state of an invitation.
    GetOrganizations = "get_organizations", repeatable: true -> Vec<RpcOrganizationMapping> {
        /// Who; null belongs to none.
        user_id: Option<UserId>,
        /// Active ones only.
        #[serde(default)]
        only_visible: bool,
    }

    /// The names of the regions that hold an organization of the user.
    GetMemberCellNames = "get_member_cell_names", repeatable: true -> Vec<String> {
        /// Who.
        user_id: UserId,
    }

    /// The older name of [`GetMemberCellNames`].
    GetMemberRegionNames = "get_member_region_names", repeatable: true -> Vec<String> {
        /// Who.
        user_id: UserId,
    }

    /// Changes a user, and returns it as the REST API shows it to nobody in particular; null if
    /// there is no such user.
    UpdateUser = "update_user", repeatable: true -> Option<Value> {
        /// Who.
        user_id: UserId,
        /// What to change.
        attrs: UserUpdateArgs,
    }

    /// Makes the sessions of a user invalid.
    FlushNonce = "flush_nonce", repeatable: true -> () {
        /// Whose.
        user_id: UserId,
    }

    /// The user who signs in with an account of another service, among an organization's members.
    GetUserBySocialAuth = "get_user_by_social_auth", repeatable: true -> Option<RpcUser> {
        /// The organization.
        organization_id: OrganizationId,
        /// The other service.
        provider: String,
        /// The account there.
        uid: String,
    }

    /// The active superuser with the lowest id.
    GetFirstSuperuser = "get_first_superuser", repeatable: true -> Option<RpcUser> {}

    /// The user with this primary address, who is created if there is none.
    ///
    /// It may be repeated: another attempt finds whom the first one created. Between gateways
    /// `created` stays true then, by the idempotency key of the call; Sentry answers false.
    GetOrCreateByEmail = "get_or_create_by_email", repeatable: true -> UserCreateResult {
        /// The address.
        email: String,
        /// The identity that picks one of several accounts.
        #[serde(default)]
        ident: Option<String>,
        /// Who sent the user.
        #[serde(default)]
        referrer: Option<String>,
    }

    /// The active user with this primary address.
    GetUserByEmail = "get_user_by_email", repeatable: true -> Option<RpcUser> {
        /// The address.
        email: String,
        /// The identity that picks one of several accounts.
        #[serde(default)]
        ident: Option<String>,
    }

    /// Marks an address of a user as verified. True if this call changed it, so that a second one
    /// would answer otherwise.
    VerifyUserEmail = "verify_user_email", repeatable: false -> bool {
        /// The address.
        email: String,
        /// Whose it is.
        user_id: UserId,
    }

    /// Marks the first of all users' equal addresses as verified; as [`VerifyUserEmail`].
    VerifyAnyEmail = "verify_any_email", repeatable: false -> bool {
        /// The address.
        email: String,
    }

    /// Creates a user. A username that is taken is an error.
    CreateByUsernameAndEmail = "create_by_username_and_email", repeatable: false -> RpcUser {
        /// The address.
        email: String,
        /// The username.
        username: String,
    }

    /// Makes a user be asked whether newsletters are welcome.
    TriggerUserConsentEmailIfApplicable = "trigger_user_consent_email_if_applicable",
    repeatable: false -> () {
        /// Whom.
        user_id: UserId,
    }

    /// Whether each user owns the address beside it, by user; of a repeated user the last counts.
    VerifyUserEmails = "verify_user_emails",
    repeatable: true -> BTreeMap<UserId, RpcVerifyUserEmail> {
        /// The users and addresses.
        user_id_emails: Vec<UserIdEmailArgs>,
        /// Verified addresses only.
        #[serde(default)]
        only_verified: bool,
    }

    /// The picture of a user.
    GetUserAvatar = "get_user_avatar", repeatable: true -> Option<RpcAvatar> {
        /// Whose.
        user_id: UserId,
    }

    /// Permits something to a user. True if it was not permitted before.
    AddPermission = "add_permission", repeatable: false -> bool {
        /// To whom.
        user_id: UserId,
        /// What.
        permission: String,
    }

    /// Takes a permission from a user. True if it was permitted before.
    RemovePermission = "remove_permission", repeatable: false -> bool {
        /// From whom.
        user_id: UserId,
        /// What.
        permission: String,
    }

    /// The one active member of an organization whom hints point to.
    ResolveFuzzyUser = "resolve_fuzzy_user", repeatable: true -> Option<UserId> {
        /// The organization.
        organization_id: OrganizationId,
        /// What may be the member's address.
        #[serde(default)]
        email: Option<String>,
        /// What may be the member's name.
        #[serde(default)]
        name: Option<String>,
    }
}

#[expect(clippy::ref_option, reason = "serde hands a field over like this")]
fn in_request<S: serde::Serializer>(
    user: &Option<Box<RpcUser>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let user = user.as_ref().map(|user| user.as_ref().clone().in_request());
    user.serialize(serializer)
}

/// Who makes a call, as Sentry says it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthenticationContext {
    /// The token of the original request; nothing here depends on it.
    pub auth: Option<Value>,
    /// The user.
    #[serde(serialize_with = "in_request")]
    pub user: Option<Box<RpcUser>>,
}

/// Which of Sentry's API forms of a user is wanted: 0 is that of lists, 1 that of administration,
/// 2 that of one's own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(into = "i64")]
pub struct UserSerializeType(pub Serializer);

impl From<UserSerializeType> for i64 {
    fn from(form: UserSerializeType) -> Self {
        match form.0 {
            Serializer::Simple => 0,
            Serializer::Detailed => 1,
            Serializer::SelfDetailed => 2,
        }
    }
}

impl Loose for UserSerializeType {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::read(deserializer)? {
            0 => Ok(Self(Serializer::Simple)),
            1 => Ok(Self(Serializer::Detailed)),
            2 => Ok(Self(Serializer::SelfDetailed)),
            other => Err(de::Error::custom(format!("there is no form {other}"))),
        }
    }
}

/// What to change of a user; what is not there stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UserUpdateArgs {
    /// The address of the account's own picture; null removes it.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub avatar_url: Key<String>,
    /// The stored number of the account's own kind of picture.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub avatar_type: Key<i64>,
    /// Sentry sends it, and nothing is kept of it.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub actor_id: Key<i64>,
    /// Whether the account may be used.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub is_active: Key<bool>,
}

impl TryFrom<UserUpdateArgs> for UserUpdate {
    type Error = Error;

    fn try_from(args: UserUpdateArgs) -> Result<Self, Error> {
        let avatar_url = match args.avatar_url {
            Key::Absent => None,
            Key::Null => Some(None),
            Key::Given(url) => Some(Some(PictureUrl::as_given(&url, &["attrs", "avatar_url"])?)),
        };
        let avatar_type = args.avatar_type.not_null("attrs", "avatar_type")?;
        Ok(Self {
            is_active: args.is_active.not_null("attrs", "is_active")?,
            avatar_type: avatar_type
                .map(|kind| AvatarKind::from_stored(i16::try_from(kind).unwrap_or_default())),
            avatar_url,
            ..Self::default()
        })
    }
}

/// A user and an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserIdEmailArgs {
    /// The user.
    #[serde(deserialize_with = "loose::read")]
    pub user_id: UserId,
    /// The address.
    #[serde(deserialize_with = "loose::read")]
    pub email: String,
}

loose::objects!(
    Box<RpcUser>,
    AuthenticationContext,
    UserUpdateArgs,
    UserIdEmailArgs,
);
