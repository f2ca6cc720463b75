//! The form in which records lie in the shared tier.
//!
//! A record is JSON behind a tag that names this form. Another release may write another form under
//! another tag into the same key: a reader takes what does not begin with its own tag for nothing
//! at all, so releases can run side by side and never misread each other. Whoever changes a type
//! below changes [`TAG`].
//!
//! The secret material of second factors has no place in the form: nothing that a region answers
//! needs it.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::{Part, Record};
use crate::domain::{
    Authenticator, AuthenticatorId, AuthenticatorKind, Avatar, AvatarKind, OptionScope,
    OrganizationId, ProjectId, Secret, StoredValue, User, UserEmail, UserEmailId, UserFlags,
    UserId, UserOption, UserOptionId, UserProfile,
};

/// What a record of this form begins with.
pub(super) const TAG: &str = "1:";

/// The record as it is kept.
pub(super) fn encode(record: &Record) -> serde_json::Result<Vec<u8>> {
    let mut bytes = TAG.as_bytes().to_vec();
    match record {
        Record::User(user) => {
            let form = user.as_deref().map(UserForm::from);
            serde_json::to_writer(&mut bytes, &form)?;
        }
        Record::Options(options) => {
            let form: Vec<OptionForm> = options.iter().map(OptionForm::from).collect();
            serde_json::to_writer(&mut bytes, &form)?;
        }
    }
    Ok(bytes)
}

/// The record behind what was kept of `user_id`; `None` if it has not this form.
pub(super) fn decode(part: Part, user_id: UserId, bytes: &[u8]) -> Option<Record> {
    let json = bytes.strip_prefix(TAG.as_bytes())?;
    match part {
        Part::User => {
            let form: Option<UserForm> = serde_json::from_slice(json).ok()?;
            let user = form.map(|form| Arc::new(form.into_user()));
            let is_theirs = user.as_ref().is_none_or(|user| user.profile.id == user_id);
            is_theirs.then_some(Record::User(user))
        }
        Part::Options => {
            let form: Vec<OptionForm> = serde_json::from_slice(json).ok()?;
            let options = form.into_iter().map(|form| form.into_option(user_id));
            Some(Record::Options(options.collect()))
        }
    }
}

#[derive(Serialize, Deserialize)]
struct UserForm {
    #[serde(with = "ProfileForm")]
    profile: UserProfile,
    role_permissions: BTreeSet<String>,
    permissions: BTreeSet<String>,
    /// Id, file, name and kind.
    avatar: Option<(i64, Option<i64>, String, i16)>,
    /// Id, address and whether it is verified.
    emails: Vec<(i64, String, bool)>,
    authenticators: Vec<AuthenticatorForm>,
}

/// Id, kind, when enrolled and when last used.
type AuthenticatorForm = (i64, i32, DateTime<Utc>, Option<DateTime<Utc>>);

#[derive(Serialize, Deserialize)]
#[serde(remote = "UserProfile")]
#[expect(clippy::struct_excessive_bools, reason = "the fields of a profile")]
struct ProfileForm {
    id: UserId,
    username: String,
    name: String,
    email: String,
    is_active: bool,
    is_superuser: bool,
    is_staff: bool,
    is_unclaimed: bool,
    is_sentry_app: bool,
    password_usable: bool,
    is_password_expired: bool,
    date_joined: DateTime<Utc>,
    last_active: Option<DateTime<Utc>>,
    #[serde(with = "flags")]
    flags: Option<UserFlags>,
    avatar_url: Option<String>,
    session_nonce: Option<Secret<String>>,
}

/// Flags as the bits that control stores.
mod flags {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::domain::UserFlags;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        clippy::ref_option,
        reason = "serde passes the field as it is"
    )]
    pub(super) fn serialize<S: Serializer>(
        flags: &Option<UserFlags>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let prompt = flags.map(|flags| flags.newsletter_consent_prompt);
        prompt.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<UserFlags>, D::Error> {
        let prompt = Option::<bool>::deserialize(deserializer)?;
        Ok(prompt.map(|newsletter_consent_prompt| UserFlags {
            newsletter_consent_prompt,
        }))
    }
}

impl From<&User> for UserForm {
    fn from(user: &User) -> Self {
        let avatar = user.avatar.as_ref();
        let authenticators = user.authenticators.iter();
        Self {
            profile: user.profile.clone(),
            role_permissions: user.role_permissions.clone(),
            permissions: user.permissions.clone(),
            avatar: avatar.map(|a| (a.id, a.file_id, a.ident.clone(), a.kind.stored())),
            emails: user
                .emails
                .iter()
                .map(|e| (e.id.0, e.email.clone(), e.is_verified))
                .collect(),
            authenticators: authenticators
                .map(|a| (a.id.0, a.kind.stored(), a.created_at, a.last_used_at))
                .collect(),
        }
    }
}

impl UserForm {
    fn into_user(self) -> User {
        let user_id = self.profile.id;
        let email = |(id, email, is_verified)| UserEmail {
            id: UserEmailId(id),
            email,
            is_verified,
        };
        let authenticator = |(id, kind, created_at, last_used_at)| Authenticator {
            id: AuthenticatorId(id),
            user_id,
            kind: AuthenticatorKind::from_stored(kind),
            created_at,
            last_used_at,
            config: None,
        };
        User {
            profile: self.profile,
            role_permissions: self.role_permissions,
            permissions: self.permissions,
            avatar: self.avatar.map(|(id, file_id, ident, kind)| Avatar {
                id,
                file_id,
                ident,
                kind: AvatarKind::from_stored(kind),
            }),
            emails: self.emails.into_iter().map(email).collect(),
            authenticators: self.authenticators.into_iter().map(authenticator).collect(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct OptionForm {
    id: i64,
    key: String,
    /// The value, or nothing where it cannot be read.
    value: Vec<Value>,
    project_id: Option<i64>,
    organization_id: Option<i64>,
}

impl From<&UserOption> for OptionForm {
    fn from(option: &UserOption) -> Self {
        Self {
            id: option.id.0,
            key: option.key.clone(),
            value: match &option.value {
                StoredValue::Json(value) => vec![value.clone()],
                StoredValue::Unreadable => Vec::new(),
            },
            project_id: option.scope.project_id.map(|id| id.0),
            organization_id: option.scope.organization_id.map(|id| id.0),
        }
    }
}

impl OptionForm {
    fn into_option(mut self, user_id: UserId) -> UserOption {
        UserOption {
            id: UserOptionId(self.id),
            user_id,
            key: self.key,
            value: self
                .value
                .pop()
                .map_or(StoredValue::Unreadable, StoredValue::Json),
            scope: OptionScope {
                project_id: self.project_id.map(ProjectId),
                organization_id: self.organization_id.map(OrganizationId),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user() -> User {
        let moment = "2026-01-02T03:04:05.678901Z".parse().unwrap();
        User {
            profile: UserProfile {
                id: UserId(7),
                username: "ada".to_owned(),
                name: "Ada".to_owned(),
                email: "ada@example.com".to_owned(),
                is_active: true,
                is_superuser: false,
                is_staff: true,
                is_unclaimed: false,
                is_sentry_app: false,
                password_usable: true,
                is_password_expired: false,
                date_joined: moment,
                last_active: Some(moment),
                flags: Some(UserFlags::from_bits(1)),
                avatar_url: Some("https://example.com/ada.png".to_owned()),
                session_nonce: Some(Secret::new("a-nonce".to_owned())),
            },
            role_permissions: ["users.admin".to_owned()].into(),
            permissions: ["broadcasts.admin".to_owned()].into(),
            avatar: Some(Avatar {
                id: 3,
                file_id: Some(4),
                ident: "abc".to_owned(),
                kind: AvatarKind::Upload,
            }),
            emails: vec![UserEmail {
                id: UserEmailId(5),
                email: "ada@example.com".to_owned(),
                is_verified: true,
            }],
            authenticators: vec![Authenticator {
                id: AuthenticatorId(6),
                user_id: UserId(7),
                kind: AuthenticatorKind::Unknown(9),
                created_at: moment,
                last_used_at: None,
                config: None,
            }],
        }
    }

    #[test]
    fn a_user_is_read_back_as_it_was() {
        let bytes = encode(&Record::User(Some(Arc::new(user())))).unwrap();
        let Some(Record::User(Some(read))) = decode(Part::User, UserId(7), &bytes) else {
            panic!("no user");
        };
        assert_eq!(*read, user());
        assert!(decode(Part::User, UserId(8), &bytes).is_none());
    }

    #[test]
    fn secrets_of_second_factors_are_not_written() {
        let mut user = user();
        user.authenticators[0].config = Some(Secret::new(json!({"secret": "a-seed"})));
        let bytes = encode(&Record::User(Some(Arc::new(user)))).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("a-seed"), "{text}");
    }

    #[test]
    fn absence_is_read_back_as_absence() {
        let bytes = encode(&Record::User(None)).unwrap();
        let read = decode(Part::User, UserId(7), &bytes);
        assert!(matches!(read, Some(Record::User(None))), "{read:?}");
    }

    #[test]
    fn options_are_read_back_as_they_were() {
        let option = |id, value| UserOption {
            id: UserOptionId(id),
            user_id: UserId(7),
            key: "theme".to_owned(),
            value,
            scope: OptionScope::project(ProjectId(id)),
        };
        let options = [
            option(1, StoredValue::Json(json!(null))),
            option(2, StoredValue::Unreadable),
            option(3, StoredValue::Json(json!({"a": [1, "b"]}))),
        ];
        let bytes = encode(&Record::Options(options.clone().into())).unwrap();
        let Some(Record::Options(read)) = decode(Part::Options, UserId(7), &bytes) else {
            panic!("no options");
        };
        assert_eq!(*read, options);
    }

    #[test]
    fn what_another_release_or_nobody_wrote_is_nothing() {
        for bytes in [
            &b"2:null"[..],
            b"null",
            b"",
            b"1:",
            b"1:{",
            b"1:[1]",
            b"1:{}",
        ] {
            assert!(decode(Part::User, UserId(7), bytes).is_none(), "{bytes:?}");
        }
    }
}
