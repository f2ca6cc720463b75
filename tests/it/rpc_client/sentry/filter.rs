//! Filters, some of whose conditions Sentry does not know.

use serde_json::{Value, json};
use user_gateway::domain::{
    AuthenticatorFilter, AuthenticatorKind, Code, OrganizationId, SerializeRequest, Serializer,
    UserFilter, UserId,
};

use super::{ADA, ALAN, Control, EVERYBODY, GRACE, GUEST, code, everybody, texts};

/// Filters, and whom they find.
fn filters() -> Vec<(UserFilter, Vec<UserId>)> {
    let mut filters = known_to_sentry();
    filters.extend(beyond_sentry());
    filters
}

fn organization(id: i64) -> UserFilter {
    UserFilter {
        organization_id: Some(OrganizationId(id)),
        ..UserFilter::default()
    }
}

/// Filters whose conditions Sentry has too.
fn known_to_sentry() -> Vec<(UserFilter, Vec<UserId>)> {
    let emails = |texts: Vec<String>| UserFilter {
        emails: Some(texts),
        ..UserFilter::default()
    };
    let all = everybody;
    vec![
        (all(), EVERYBODY.to_vec()),
        (UserFilter::ids(&[]), vec![]),
        (
            UserFilter {
                is_active: Some(false),
                ..all()
            },
            vec![ALAN],
        ),
        (organization(1), vec![ADA, GRACE]),
        (
            UserFilter {
                without_organization: true,
                ..UserFilter::default()
            },
            vec![ALAN],
        ),
        (
            UserFilter {
                without_organization: true,
                ..organization(1)
            },
            vec![],
        ),
        (
            emails(texts(["ADA@work.example", "ada@example.com"])),
            vec![ADA],
        ),
        (emails(vec![]), vec![]),
        (
            UserFilter {
                email_verified: Some(true),
                ..all()
            },
            EVERYBODY.to_vec(),
        ),
        (
            UserFilter {
                email_verified: Some(false),
                ..all()
            },
            vec![ADA],
        ),
        // The address that matches is the one whose state counts.
        (
            UserFilter {
                email_verified: Some(true),
                ..emails(texts(["ada@work.example"]))
            },
            vec![],
        ),
        (
            UserFilter {
                email_verified: Some(false),
                ..emails(texts(["ada@work.example"]))
            },
            vec![ADA],
        ),
        (
            UserFilter {
                authenticators: Some(AuthenticatorFilter::None),
                ..organization(1)
            },
            vec![GRACE],
        ),
        (
            UserFilter {
                authenticators: Some(AuthenticatorFilter::AnyOf(vec![
                    AuthenticatorKind::Totp,
                    AuthenticatorKind::Recovery,
                ])),
                ..all()
            },
            vec![ADA],
        ),
    ]
}

/// Filters whose conditions Sentry drops or understands in another way.
fn beyond_sentry() -> Vec<(UserFilter, Vec<UserId>)> {
    let usernames = |texts: Vec<String>| UserFilter {
        usernames: Some(texts),
        ..UserFilter::default()
    };
    let query = |text: &str, filter: UserFilter| UserFilter {
        query: Some(text.to_owned()),
        ..filter
    };
    let all = everybody;
    vec![
        // Sentry drops the condition on usernames without a word.
        (
            usernames(texts(["ada", "ADA", "Guest-1", "guest-1", "nobody"])),
            vec![ADA, GUEST],
        ),
        (
            UserFilter {
                usernames: Some(texts(["ada", "alan"])),
                ..organization(1)
            },
            vec![ADA],
        ),
        (
            UserFilter {
                is_active: Some(true),
                ..usernames(texts(["ada", "alan"]))
            },
            vec![ADA],
        ),
        (usernames(vec![]), vec![]),
        // It does not search them.
        (query("GUEST-", all()), vec![GUEST]),
        (query("lovelace", all()), vec![ADA]),
        (query("shared@", organization(1)), vec![GRACE]),
        (query("ada", usernames(texts(["ada", "grace"]))), vec![ADA]),
        (
            UserFilter {
                query_spares_usernames: true,
                ..query("GUEST-", all())
            },
            vec![],
        ),
        (
            UserFilter {
                query_spares_usernames: true,
                ..query("grace", all())
            },
            vec![GRACE],
        ),
    ]
}

#[tokio::test]
#[ignore = "needs Python"]
async fn filters_mean_what_they_mean_everywhere_and_find_nobody_twice() {
    let control = Control::start();
    let users = &control.services.users;
    for (filter, expected) in filters() {
        assert_eq!(
            users.get_many_ids(&filter).await.unwrap(),
            expected,
            "{filter:?}"
        );
        let found = users.get_many(&filter).await.unwrap();
        let found: Vec<_> = found.iter().map(|user| user.profile.id).collect();
        assert_eq!(found, expected, "{filter:?}");
        let found = users.get_many_profiles(&filter).await.unwrap();
        let found: Vec<_> = found.iter().map(|profile| profile.id).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    let unanchored = UserFilter {
        query: Some("ada".to_owned()),
        ..UserFilter::default()
    };
    assert_eq!(
        code(users.get_many(&unanchored).await),
        Some(Code::BadUserInput)
    );
}

#[tokio::test]
#[ignore = "needs Python"]
async fn users_are_serialized_for_whoever_looks() {
    let control = Control::start();
    let users = &control.services.users;
    let request = |filter, as_user, serializer| SerializeRequest {
        filter,
        as_user,
        serializer,
    };
    for (filter, expected) in filters() {
        let asked = request(filter.clone(), None, Serializer::Simple);
        let told = users.serialize_many(&asked).await.unwrap();
        let ids: Vec<_> = told.iter().map(|user| user["id"].clone()).collect();
        let expected: Vec<_> = expected.iter().map(|id| json!(id.to_string())).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
    let ada = UserFilter::ids(&[ADA]);
    let mine = request(ada.clone(), Some(ADA), Serializer::SelfDetailed);
    let mine = users.serialize_many(&mine).await.unwrap().remove(0);
    assert_eq!(mine["permissions"], json!(["broadcasts.admin"]));
    assert_eq!(mine["emails"].as_array().unwrap().len(), 2);
    let others = request(ada, Some(GRACE), Serializer::SelfDetailed);
    let others = users.serialize_many(&others).await.unwrap().remove(0);
    assert_eq!(
        (&others["permissions"], &others["emails"]),
        (&Value::Null, &json!([]))
    );
}
