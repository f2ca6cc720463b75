//! How users sign in and what they may do: second factors, identities, permissions and roles.

use serde_json::json;

use crate::sample::account::is_staff;
use crate::sample::moment::{DAY, ago};
use crate::sample::organization::auth_provider_id;
use crate::sample::person::{Kind, Person, State};
use crate::sample::random::{Random, Stream};
use crate::sample::{
    AuthIdentityRow, AuthenticatorRow, Batch, UserPermissionRow, UserRoleRow, UserRoleUserRow,
    row_id,
};

const RECOVERY: i32 = 0;
const TOTP: i32 = 1;
const SMS: i32 = 2;
const U2F: i32 = 3;

const SUPER_ADMIN: i64 = 1;
const SUPPORT: i64 = 2;

/// All permissions there are, in the order their places are counted.
const PERMISSIONS: [&str; 3] = ["broadcasts.admin", "users.admin", "options.admin"];

/// All roles.
pub(super) fn roles() -> Vec<UserRoleRow> {
    [
        (SUPER_ADMIN, "Super Admin", &PERMISSIONS[..]),
        (SUPPORT, "Support", &["users.admin"]),
    ]
    .map(|(id, name, permissions)| UserRoleRow {
        id,
        date_updated: ago(30 * DAY),
        date_added: Some(ago(9 * 365 * DAY)),
        name: name.to_owned(),
        permissions: permissions.iter().map(|&text| text.to_owned()).collect(),
    })
    .into()
}

pub(super) fn add(person: &Person, batch: &mut Batch) {
    batch.permissions.extend(permissions(person));
    batch.role_users.extend(role_users(person));
    batch.authenticators.extend(authenticators(person));
    batch.auth_identities.extend(auth_identities(person));
}

fn permissions(person: &Person) -> impl Iterator<Item = UserPermissionRow> {
    let mut random = Random::new(Stream::Permission, person.id);
    let is_staff = is_staff(person);
    (0..)
        .zip(PERMISSIONS)
        .filter(move |_| is_staff && (person.kind == Kind::Admin || random.chance(400)))
        .map(|(place, permission)| UserPermissionRow {
            id: row_id(person.id, 4, place),
            user_id: person.key(),
            permission: permission.to_owned(),
        })
}

/// The first users have fixed roles, user 6 both of them: their permission lists differ in length, which a query that
/// joins them up has to bear.
fn role_users(person: &Person) -> impl Iterator<Item = UserRoleUserRow> {
    let mut random = Random::new(Stream::Role, person.id);
    let roles: &[i64] = match person.id {
        1 => &[SUPER_ADMIN],
        4 | 5 => &[SUPPORT],
        6 => &[SUPER_ADMIN, SUPPORT],
        _ if is_staff(person) && random.chance(500) => &[SUPPORT],
        _ => &[],
    };
    (0..).zip(roles).map(move |(place, &role_id)| {
        let given = ago(random.below(person.age));
        UserRoleUserRow {
            id: row_id(person.id, 2, place),
            date_updated: given,
            date_added: Some(given),
            user_id: person.key(),
            role_id,
        }
    })
}

fn authenticators(person: &Person) -> impl Iterator<Item = AuthenticatorRow> {
    let mut random = Random::new(Stream::Authenticator, person.id);
    let may_have = person.kind != Kind::App && person.state != State::Unclaimed;
    let kinds: &[i32] = match random.below(1_000) {
        _ if person.kind == Kind::Admin => &[RECOVERY, TOTP, U2F],
        _ if !may_have => &[],
        0..110 => &[RECOVERY, TOTP],
        110..140 => &[RECOVERY, TOTP, SMS],
        140..180 => &[RECOVERY, U2F],
        180..200 => &[RECOVERY, TOTP, SMS, U2F],
        200..210 => &[TOTP],
        _ => &[],
    };
    kinds.iter().map(move |&kind| {
        let age = random.below(person.age);
        AuthenticatorRow {
            id: row_id(person.id, 4, u64::from(kind.unsigned_abs())),
            user_id: person.key(),
            created_at: ago(age),
            last_used_at: random.chance(700).then(|| ago(random.below(age + 1))),
            kind,
            config: if kind == U2F {
                json!({"devices": []})
            } else {
                json!({})
            },
        }
    })
}

/// Identities at the providers of the user's organizations, one per organization at most.
///
/// The twins have the same identity, each at a provider of their own.
fn auth_identities(person: &Person) -> impl Iterator<Item = AuthIdentityRow> {
    let mut random = Random::new(Stream::Identity, person.id);
    let ident = if person.kind == Kind::Twin {
        "sample-shared".to_owned()
    } else {
        format!("sample-{:08}", person.id)
    };
    let linked = person.state != State::Unclaimed && random.chance(170);
    (0..)
        .zip(&person.organizations)
        .filter(move |&(_, &organization)| match person.kind {
            // Twin 2 signs in at organization 1, twin 3 at organization 2.
            Kind::Twin => organization + 1 == person.id,
            Kind::Admin => organization == 1,
            _ => linked,
        })
        .filter_map(|(place, &organization)| Some((place, auth_provider_id(organization)?)))
        .map(move |(place, auth_provider_id)| {
            let age = random.below(person.age);
            let seen = ago(random.below(age + 1));
            AuthIdentityRow {
                id: row_id(person.id, 3, place),
                user_id: person.key(),
                auth_provider_id,
                ident: ident.clone(),
                data: json!({}),
                last_verified: seen,
                last_synced: seen,
                date_added: ago(age),
            }
        })
}
