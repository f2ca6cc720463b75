//! What whoever loads or looks at the sample directory may rely on.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::sample::{Batch, EPOCH, Size, UserRow, batches, users};

/// All rows of a directory, in batches of that many users.
fn directory(size: Size, per_batch: usize) -> Batch {
    let mut all = Batch::default();
    for batch in batches(size, per_batch) {
        all.roles.extend(batch.roles);
        all.organizations.extend(batch.organizations);
        all.auth_providers.extend(batch.auth_providers);
        all.users.extend(batch.users);
        all.emails.extend(batch.emails);
        all.avatars.extend(batch.avatars);
        all.permissions.extend(batch.permissions);
        all.role_users.extend(batch.role_users);
        all.authenticators.extend(batch.authenticators);
        all.auth_identities.extend(batch.auth_identities);
        all.options.extend(batch.options);
        all.memberships.extend(batch.memberships);
    }
    all
}

fn demo() -> Batch {
    directory(Size::DEMO, 100)
}

/// Every table of a batch with its rows as a loader sees them, in the order of the fields.
fn tables(batch: &Batch) -> [(&'static str, Vec<Value>); 12] {
    [
        ("sentry_userrole", json(&batch.roles)),
        ("sentry_organizationmapping", json(&batch.organizations)),
        ("sentry_authprovider", json(&batch.auth_providers)),
        ("auth_user", json(&batch.users)),
        ("sentry_useremail", json(&batch.emails)),
        ("sentry_useravatar", json(&batch.avatars)),
        ("sentry_userpermission", json(&batch.permissions)),
        ("sentry_userrole_users", json(&batch.role_users)),
        ("auth_authenticator", json(&batch.authenticators)),
        ("sentry_authidentity", json(&batch.auth_identities)),
        ("sentry_useroption", json(&batch.options)),
        ("sentry_organizationmembermapping", json(&batch.memberships)),
    ]
}

fn json<T: Serialize>(rows: &[T]) -> Vec<Value> {
    rows.iter()
        .map(|row| serde_json::to_value(row).unwrap_or_default())
        .collect()
}

#[track_caller]
fn assert_unique<T: Eq + Hash + Debug>(keys: impl IntoIterator<Item = T>) {
    let mut seen = HashSet::new();
    for key in keys {
        let text = format!("{key:?} comes twice");
        assert!(seen.insert(key), "{text}");
    }
}

/// How many of a thousand `whole` are `part`.
fn share(part: usize, whole: usize) -> usize {
    part * 1_000 / whole
}

#[test]
fn the_same_size_gives_the_same_rows() {
    assert_eq!(demo(), demo());
}

#[test]
fn the_rows_are_the_same_on_every_machine() {
    // Whoever changes the draws on purpose changes these too.
    let users = demo().users;
    let names: Vec<_> = users[4..7].iter().map(|row| &*row.username).collect();
    assert_eq!(names, ["anan.saengthong", "begona.gomez", "Nazli.Aydin"]);
}

#[test]
fn the_length_of_a_batch_changes_no_row() {
    let demo = demo();
    for per_batch in [0, 1, 7, 1_000, usize::MAX] {
        assert_eq!(directory(Size::DEMO, per_batch), demo, "{per_batch}");
    }
}

#[test]
fn a_batch_holds_no_more_than_asked() {
    for batch in batches(Size::DEMO, 30) {
        assert!(batch.users.len() <= 30 && batch.organizations.len() <= 30);
    }
    assert_eq!(demo().users.len(), 1_000);
    assert_eq!(demo().organizations.len(), 40);
}

#[test]
fn a_directory_may_be_tiny() {
    for users in 0..6 {
        for organizations in 0..6 {
            let size = Size {
                users,
                organizations,
            };
            let rows = directory(size, 2);
            assert_eq!(rows.users.len() as u64, users);
            assert_eq!(rows.organizations.len() as u64, organizations);
            for membership in rows.memberships {
                assert!(membership.organization_id <= organizations.cast_signed());
            }
        }
    }
}

#[test]
fn ids_are_positive_and_unique_in_every_table() {
    for (table, rows) in tables(&demo()) {
        assert!(!rows.is_empty(), "{table}");
        let ids: Vec<_> = rows.iter().filter_map(|row| row["id"].as_i64()).collect();
        assert_eq!(ids.len(), rows.len(), "{table}");
        assert!(ids.iter().all(|&id| id > 0), "{table}");
        assert_unique(ids);
    }
}

#[test]
fn unique_columns_hold_no_value_twice() {
    let rows = demo();
    assert_unique(rows.roles.iter().map(|row| &row.name));
    assert_unique(rows.organizations.iter().map(|row| &row.slug));
    assert_unique(rows.organizations.iter().map(|row| row.organization_id));
    assert_unique(rows.auth_providers.iter().map(|row| row.organization_id));
    assert_unique(rows.emails.iter().map(|row| (row.user_id, &row.email)));
    assert_unique(rows.avatars.iter().map(|row| &row.ident));
    assert_unique(rows.avatars.iter().map(|row| row.user_id));
    assert_unique(rows.avatars.iter().filter_map(|row| row.control_file_id));
    assert_unique(
        rows.permissions
            .iter()
            .map(|row| (row.user_id, &row.permission)),
    );
    assert_unique(rows.role_users.iter().map(|row| (row.user_id, row.role_id)));
    assert_unique(
        rows.authenticators
            .iter()
            .map(|row| (row.user_id, row.kind)),
    );
    let identities = &rows.auth_identities;
    assert_unique(
        identities
            .iter()
            .map(|row| (row.auth_provider_id, row.user_id)),
    );
    assert_unique(
        identities
            .iter()
            .map(|row| (row.auth_provider_id, &row.ident)),
    );
    let members = &rows.memberships;
    assert_unique(
        members
            .iter()
            .map(|row| (row.organization_id, row.organizationmember_id)),
    );
    assert_unique(
        members
            .iter()
            .filter_map(|row| row.user_id.map(|user| (row.organization_id, user))),
    );
}

#[test]
fn no_option_is_set_twice_in_a_scope() {
    let options = demo().options;
    assert_unique(options.iter().map(|row| {
        let scope = (row.project_id, row.organization_id);
        (row.user_id, scope, &row.key)
    }));
    // A row with both scopes would collide with the row of its project alone.
    for option in &options {
        assert!(option.project_id.is_none() || option.organization_id.is_none());
        assert!(!option.value.is_null());
    }
}

#[test]
fn usernames_and_addresses_stay_unique_when_names_come_round_again() {
    // Names repeat after two thousand users; only the twins have one address between them.
    let rows = directory(Size::with_users(7_000), 512);
    assert_unique(rows.users.iter().map(|row| row.username.to_lowercase()));
    let users = rows.users.iter().filter(|row| row.id != 3);
    assert_unique(users.map(|row| row.email.to_lowercase()));
    let others = rows.emails.iter().filter(|row| row.user_id != 3);
    assert_unique(others.map(|row| row.email.to_lowercase()));
    assert_unique(rows.organizations.iter().map(|row| &row.slug));
    for row in &rows.emails {
        let (local, _) = row.email.split_once('@').unwrap();
        assert!(local.len() <= 64, "{}", row.email);
    }
}

#[test]
fn slugs_stay_unique_when_names_come_round_again() {
    let size = Size {
        users: 0,
        organizations: 3_000,
    };
    assert_unique(
        directory(size, 1_000)
            .organizations
            .iter()
            .map(|row| &row.slug),
    );
}

#[test]
fn ids_of_a_large_directory_fit_their_columns() {
    let size = Size::with_users(10_000_000);
    let batch = users(size, 9_999_000..=10_000_000);
    for (table, rows) in tables(&batch) {
        for row in rows {
            let id = row["id"].as_i64().unwrap_or_default();
            assert!(id < i64::from(i32::MAX), "{table}: {id}");
        }
    }
}

#[test]
fn texts_fit_their_columns() {
    // Addresses keep to the 75 characters that columns had before 2025.
    let limits = HashMap::from([
        (("auth_user", "password"), 128),
        (("auth_user", "username"), 128),
        (("auth_user", "first_name"), 200),
        (("auth_user", "email"), 75),
        (("auth_user", "session_nonce"), 12),
        (("auth_user", "avatar_url"), 120),
        (("sentry_useremail", "email"), 75),
        (("sentry_useremail", "validation_hash"), 32),
        (("sentry_useravatar", "ident"), 32),
        (("sentry_useroption", "key"), 64),
        (("sentry_userpermission", "permission"), 32),
        (("sentry_userrole", "name"), 32),
        (("sentry_authprovider", "provider"), 128),
        (("sentry_authidentity", "ident"), 128),
        (("sentry_organizationmapping", "slug"), 50),
        (("sentry_organizationmapping", "name"), 64),
        (("sentry_organizationmapping", "customer_id"), 255),
        (("sentry_organizationmapping", "idempotency_key"), 48),
        (("sentry_organizationmapping", "region_name"), 48),
        (("sentry_organizationmembermapping", "role"), 32),
        (("sentry_organizationmembermapping", "email"), 75),
    ]);
    let mut found = HashSet::new();
    for (table, rows) in tables(&demo()) {
        for row in &rows {
            for (column, value) in row.as_object().into_iter().flatten() {
                let Some(limit) = limits.get(&(table, column.as_str())) else {
                    continue;
                };
                found.insert((table, column.clone()));
                let length = value.as_str().map_or(0, |text| text.chars().count());
                assert!(length <= *limit, "{table}.{column}: {value}");
            }
        }
    }
    assert_eq!(found.len(), limits.len(), "a column is missing");
}

#[test]
fn no_row_refers_to_one_still_to_come() {
    let mut users = HashSet::new();
    let mut roles = HashSet::new();
    let mut providers = HashSet::new();
    for batch in batches(Size::DEMO, 50) {
        roles.extend(batch.roles.iter().map(|row| row.id));
        providers.extend(batch.auth_providers.iter().map(|row| row.id));
        users.extend(batch.users.iter().map(|row| row.id));
        for (table, rows) in tables(&batch) {
            for row in rows {
                for (column, known) in [
                    ("user_id", &users),
                    ("inviter_id", &users),
                    ("role_id", &roles),
                    ("auth_provider_id", &providers),
                ] {
                    if let Some(id) = row[column].as_i64() {
                        assert!(known.contains(&id), "{table}.{column} {id}");
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_is_later_than_the_epoch() {
    let rows = demo();
    for user in &rows.users {
        for moment in [user.last_login, user.last_active, user.last_password_change] {
            assert!(moment.is_none_or(|moment| moment >= user.date_joined && moment <= EPOCH));
        }
    }
    for (table, rows) in tables(&rows) {
        for row in rows {
            for (column, value) in row.as_object().into_iter().flatten() {
                let text = value.as_str().unwrap_or_default();
                let moment = text.parse::<DateTime<Utc>>().ok();
                assert!(
                    moment.is_none_or(|moment| moment <= EPOCH),
                    "{table}.{column}"
                );
            }
        }
    }
}

#[test]
fn every_address_is_reserved_for_examples() {
    let rows = demo();
    let invited = rows.memberships.iter().filter_map(|row| row.email.as_ref());
    for address in rows.emails.iter().map(|row| &row.email).chain(invited) {
        let (local, domain) = address.split_once('@').unwrap_or_default();
        let domain = domain.to_lowercase();
        assert!(!local.is_empty() && !local.contains(char::is_whitespace));
        assert!(
            domain.ends_with(".example") || ["example.com", "example.org"].contains(&&*domain),
            "{address}"
        );
    }
}

#[test]
fn the_primary_address_is_a_users_first() {
    let rows = demo();
    let mut first = HashMap::new();
    for row in &rows.emails {
        first.entry(row.user_id).or_insert(&row.email);
    }
    for user in &rows.users {
        assert_eq!(first.get(&user.id), Some(&&user.email));
    }
}

#[test]
fn user_one_is_the_superuser_of_the_demo() {
    let rows = demo();
    let superusers: Vec<_> = rows.users.iter().filter(|row| row.is_superuser).collect();
    assert_eq!(superusers.len(), 1);
    for user in superusers {
        assert_eq!((user.id, user.username.as_str()), (1, "admin"));
        assert_eq!(user.first_name, "Ada Admin");
        assert_eq!(user.email, "admin@example.com");
        assert!(user.is_staff && user.is_active);
    }
    let organizations: Vec<_> = rows
        .memberships
        .iter()
        .filter(|row| row.user_id == Some(1))
        .map(|row| row.organization_id)
        .collect();
    assert_eq!(organizations, [1, 2, 3]);
    assert!(rows.options.iter().filter(|row| row.user_id == 1).count() >= 8);
}

#[test]
fn users_two_and_three_share_an_address_and_an_identity() {
    let rows = demo();
    let twins: Vec<_> = rows
        .users
        .iter()
        .filter(|row| [2, 3].contains(&row.id))
        .collect();
    let addresses: Vec<_> = twins.iter().map(|row| row.email.as_str()).collect();
    assert_eq!(addresses, ["shared@example.com", "Shared@Example.com"]);
    assert!(twins.iter().all(|row| row.is_active));
    let identities: Vec<_> = rows
        .auth_identities
        .iter()
        .filter(|row| row.ident == "sample-shared")
        .map(|row| (row.user_id, row.auth_provider_id))
        .collect();
    assert_eq!(identities, [(2, 1), (3, 2)]);
}

#[test]
fn every_organization_has_an_owner() {
    for size in [Size::DEMO, Size::with_users(10_000)] {
        let rows = directory(size, 1_000);
        let owned: HashSet<_> = rows
            .memberships
            .iter()
            .filter(|row| row.user_id.is_some() && row.role == "owner")
            .map(|row| row.organization_id)
            .collect();
        assert_eq!(owned.len(), rows.organizations.len());
    }
}

#[test]
fn the_directory_is_as_mixed_as_a_real_one() {
    let rows = directory(Size::with_users(20_000), 1_000);
    let users = rows.users.len();
    let with = |condition: fn(&UserRow) -> bool| {
        share(
            rows.users.iter().filter(|row| condition(row)).count(),
            users,
        )
    };
    assert!((20..40).contains(&with(|row| !row.is_active)));
    assert!((10..30).contains(&with(|row| row.is_unclaimed)));
    assert!((5..15).contains(&with(|row| row.is_staff)));
    assert!((1..10).contains(&with(|row| row.is_sentry_app == Some(true))));
    assert!((300..700).contains(&with(|row| row.is_sentry_app.is_none())));
    assert!((500..800).contains(&with(|row| !row.first_name.is_ascii())));
    assert!((100..400).contains(&with(|row| !row.email.is_ascii())));
    assert!((380..420).contains(&share(rows.avatars.len(), users)));
    let distinct = |ids: HashSet<i64>| share(ids.len(), users);
    let secured = rows.authenticators.iter().map(|row| row.user_id).collect();
    assert!((180..220).contains(&distinct(secured)));
    let linked = rows.auth_identities.iter().map(|row| row.user_id).collect();
    assert!((80..120).contains(&distinct(linked)));
    let members = rows
        .memberships
        .iter()
        .filter_map(|row| row.user_id)
        .collect();
    assert!((960..990).contains(&distinct(members)));
}

#[test]
fn the_first_organization_is_the_largest() {
    let mut sizes = HashMap::new();
    for row in demo().memberships {
        *sizes.entry(row.organization_id).or_insert(0) += 1;
    }
    let first = sizes.remove(&1).unwrap_or_default();
    assert!(first > 200, "{first}");
    assert!(sizes.values().all(|&size| size < first));
}
