//! The form in which records lie in the shared tier.
//!
//! A record is JSON behind a tag that names this form. Another release may write another form under
//! another tag into the same key: a reader takes what does not begin with its own tag for nothing
//! at all, so releases can run side by side and never misread each other. Whoever changes a field
//! of [`User`] or [`UserOption`] changes [`TAG`].
//!
//! The secret material of second factors has no place in the form: nothing that a region answers
//! needs it.

use std::sync::Arc;

use super::record::{Part, Record};
use crate::domain::{User, UserId, UserOption, UserProfile};

/// What a record of this form begins with.
pub(super) const TAG: &str = "1:";

/// The record as it is kept.
pub(super) fn encode(record: &Record) -> serde_json::Result<Vec<u8>> {
    let mut bytes = TAG.as_bytes().to_vec();
    match record {
        Record::User(user) => serde_json::to_writer(&mut bytes, &user.as_deref())?,
        Record::Profile(profile) => serde_json::to_writer(&mut bytes, &profile.as_deref())?,
        Record::Options(options) => serde_json::to_writer(&mut bytes, &options[..])?,
    }
    Ok(bytes)
}

/// The record behind what was kept of `user_id`; `None` if it has not this form.
pub(super) fn decode(part: Part, user_id: UserId, bytes: &[u8]) -> Option<Record> {
    let json = bytes.strip_prefix(TAG.as_bytes())?;
    match part {
        Part::User => {
            let user: Option<User> = serde_json::from_slice(json).ok()?;
            let is_theirs = user.as_ref().is_none_or(|user| user.profile.id == user_id);
            is_theirs.then(|| Record::User(user.map(Arc::new)))
        }
        Part::Profile => {
            let profile: Option<UserProfile> = serde_json::from_slice(json).ok()?;
            let is_theirs = profile.as_ref().is_none_or(|profile| profile.id == user_id);
            is_theirs.then(|| Record::Profile(profile.map(Arc::new)))
        }
        Part::Options => {
            let options: Vec<UserOption> = serde_json::from_slice(json).ok()?;
            let are_theirs = options.iter().all(|option| option.user_id == user_id);
            are_theirs.then(|| Record::Options(options.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{
        Authenticator, AuthenticatorId, AuthenticatorKind, Avatar, AvatarKind, JsonText,
        OptionScope, ProjectId, Secret, StoredValue, UserEmail, UserEmailId, UserFlags,
        UserOptionId,
    };

    fn user() -> User {
        let moment = "2026-01-02T03:04:05.678901Z".parse().unwrap();
        User {
            profile: UserProfile {
                id: UserId(7),
                username: "ada".into(),
                name: "Ada".into(),
                email: "ada@example.com".into(),
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
                avatar_url: Some("https://example.com/ada.png".into()),
                session_nonce: Some(Secret::new("a-nonce".into())),
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
            key: "theme".into(),
            value,
            scope: OptionScope::project(ProjectId(id)),
        };
        let options = [
            option(1, StoredValue::Json(JsonText::from(&json!(null)))),
            option(2, StoredValue::Unreadable),
            option(
                3,
                StoredValue::Json(JsonText::from(&json!({"a": [1, "b"]}))),
            ),
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
