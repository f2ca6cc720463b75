//! The parts of users, taken from whole users.
//!
//! Where a whole user is at hand, in a copy or as a remote answer, the parts that
//! [`UserService`](super::UserService) offers one by one are all in it. What comes from one look-up
//! also fits together: a part never shows another state of the user than the next.
//!
//! Each function answers as the method of its name promises: by user, each user once, however
//! often and in whatever order the users are given.

use crate::domain::{Authenticator, Avatar, User, UserEmail, UserId, UserProfile};

/// The account rows, as [`UserService::get_profiles`](super::UserService::get_profiles) answers.
#[must_use]
pub fn profiles(users: Vec<User>) -> Vec<UserProfile> {
    each(users).map(|user| user.profile).collect()
}

/// The pictures, as [`UserService::get_avatars`](super::UserService::get_avatars) answers.
#[must_use]
pub fn avatars(users: Vec<User>) -> Vec<(UserId, Avatar)> {
    each(users)
        .filter_map(|user| Some((user.profile.id, user.avatar?)))
        .collect()
}

/// The addresses, as [`UserService::get_emails`](super::UserService::get_emails) answers.
#[must_use]
pub fn emails(users: Vec<User>) -> Vec<(UserId, UserEmail)> {
    each(users)
        .flat_map(|user| {
            let id = user.profile.id;
            user.emails.into_iter().map(move |email| (id, email))
        })
        .collect()
}

/// The second factors without their secrets, as
/// [`UserService::get_authenticators`](super::UserService::get_authenticators) answers.
#[must_use]
pub fn authenticators(users: Vec<User>) -> Vec<Authenticator> {
    each(users)
        .flat_map(|user| user.authenticators)
        .map(|authenticator| Authenticator {
            config: None,
            ..authenticator
        })
        .collect()
}

/// What is permitted directly, as
/// [`UserService::get_permissions`](super::UserService::get_permissions) answers.
#[must_use]
pub fn permissions(users: Vec<User>) -> Vec<(UserId, String)> {
    each(users)
        .flat_map(|user| {
            let id = user.profile.id;
            user.permissions
                .into_iter()
                .map(move |permission| (id, permission))
        })
        .collect()
}

/// Each user once, by id, and what belongs to a user by its own id.
fn each(mut users: Vec<User>) -> impl Iterator<Item = User> {
    users.sort_by_key(|user| user.profile.id);
    users.dedup_by_key(|user| user.profile.id);
    users.into_iter().map(|mut user| {
        user.emails.sort_by_key(|email| email.id);
        user.authenticators.sort_by_key(|factor| factor.id);
        user
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::domain::{
        AuthenticatorId, AuthenticatorKind, AvatarKind, Secret, UserEmailId, UserProfile,
    };

    fn user(id: i64) -> User {
        let email = |number: i64| UserEmail {
            id: UserEmailId(number),
            email: format!("{number}@example.com"),
            is_verified: true,
        };
        User {
            profile: UserProfile {
                id: UserId(id),
                username: format!("user-{id}").into(),
                name: "".into(),
                email: "".into(),
                is_active: true,
                is_superuser: false,
                is_staff: false,
                is_unclaimed: false,
                is_sentry_app: false,
                password_usable: true,
                is_password_expired: false,
                date_joined: "2025-01-01T00:00:00Z".parse().unwrap(),
                last_active: None,
                flags: None,
                avatar_url: None,
                session_nonce: None,
            },
            role_permissions: BTreeSet::new(),
            permissions: ["b", "a"].map(str::to_owned).into(),
            avatar: (id == 1).then(|| Avatar {
                id: 5,
                file_id: None,
                ident: String::new(),
                kind: AvatarKind::Gravatar,
            }),
            emails: vec![email(id * 10 + 1), email(id * 10)],
            authenticators: vec![Authenticator {
                id: AuthenticatorId(id),
                user_id: UserId(id),
                kind: AuthenticatorKind::Totp,
                created_at: "2025-01-01T00:00:00Z".parse().unwrap(),
                last_used_at: None,
                config: Some(Secret::new(json!({"secret": "JBSWY3DP"}))),
            }],
        }
    }

    fn users() -> Vec<User> {
        [2, 1, 2].map(user).into()
    }

    #[test]
    fn each_part_comes_by_user_and_each_user_once() {
        let ids: Vec<_> = profiles(users()).iter().map(|p| p.id.0).collect();
        assert_eq!(ids, [1, 2]);
        let ids: Vec<_> = emails(users())
            .iter()
            .map(|(user, email)| (user.0, email.id.0))
            .collect();
        assert_eq!(ids, [(1, 10), (1, 11), (2, 20), (2, 21)]);
        let permitted = permissions(users());
        let permitted: Vec<_> = permitted.iter().map(|(id, p)| (id.0, &**p)).collect();
        assert_eq!(permitted, [(1, "a"), (1, "b"), (2, "a"), (2, "b")]);
    }

    #[test]
    fn a_user_without_a_picture_has_none() {
        let pictures = avatars(users());
        assert_eq!(pictures.len(), 1);
        assert_eq!(pictures[0].0, UserId(1));
    }

    #[test]
    fn second_factors_come_without_their_secrets() {
        let factors = authenticators(users());
        assert_eq!(factors.len(), 2);
        assert!(factors.iter().all(|factor| factor.config.is_none()));
    }
}
