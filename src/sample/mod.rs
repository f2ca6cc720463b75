//! A made-up user directory: the same rows for the same size, always.
//!
//! The module is pure. It reads no clock, no file and no source of randomness, and knows no database: it makes rows
//! whose field names are column names, and whoever loads them decides where they go. A row follows from the size of
//! the directory and one id, so ten million users stream through as little memory as ten.
//!
//! Nothing here opens a door. Password hashes match no password, second factors hold no secret, and every address
//! ends in a domain that is reserved for examples. Validation hashes are predictable, though: sample rows belong in a
//! directory that holds nothing of value.

use std::iter::once;
use std::ops::RangeInclusive;

mod account;
mod locale;
mod membership;
mod moment;
mod option;
mod organization;
mod person;
mod random;
mod row;
mod sign_in;
#[cfg(test)]
mod tests;

pub use moment::EPOCH;
pub use row::{
    AuthIdentityRow, AuthProviderRow, AuthenticatorRow, OrganizationMappingRow,
    OrganizationMemberMappingRow, UserAvatarRow, UserEmailRow, UserOptionRow, UserPermissionRow,
    UserRoleRow, UserRoleUserRow, UserRow,
};

use person::Person;
use serde::Serialize;
use serde_json::Value;

/// How large a directory to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How many users; their ids are 1 to this number.
    pub users: u64,
    /// How many organizations; their ids are 1 to this number.
    pub organizations: u64,
}

impl Size {
    /// The directory that `demo` opens.
    pub const DEMO: Self = Self::with_users(1_000);

    /// A directory of `users` users with one organization for every 25 of them, and at least the three that the
    /// users with fixed names belong to.
    #[must_use]
    pub const fn with_users(users: u64) -> Self {
        let organizations = users / 25;
        Self {
            users,
            organizations: if organizations < 3 { 3 } else { organizations },
        }
    }
}

/// A slice of the directory, one list per table.
///
/// Loaded in the order of the fields, batch after batch, no foreign key ever points at a row still to come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Rows of `sentry_userrole`; the first batch holds all of them.
    pub roles: Vec<UserRoleRow>,
    /// Rows of `sentry_organizationmapping`; all come before the first user.
    pub organizations: Vec<OrganizationMappingRow>,
    /// Rows of `sentry_authprovider`, beside their organizations.
    pub auth_providers: Vec<AuthProviderRow>,
    /// Rows of `auth_user`.
    pub users: Vec<UserRow>,
    /// Rows of `sentry_useremail`, of the users of this batch as are all lists below.
    pub emails: Vec<UserEmailRow>,
    /// Rows of `sentry_useravatar`.
    pub avatars: Vec<UserAvatarRow>,
    /// Rows of `sentry_userpermission`.
    pub permissions: Vec<UserPermissionRow>,
    /// Rows of `sentry_userrole_users`.
    pub role_users: Vec<UserRoleUserRow>,
    /// Rows of `auth_authenticator`.
    pub authenticators: Vec<AuthenticatorRow>,
    /// Rows of `sentry_authidentity`.
    pub auth_identities: Vec<AuthIdentityRow>,
    /// Rows of `sentry_useroption`.
    pub options: Vec<UserOptionRow>,
    /// Rows of `sentry_organizationmembermapping`, invitations of people without an account among them.
    pub memberships: Vec<OrganizationMemberMappingRow>,
}

impl Batch {
    /// The rows as JSON objects, table by table in the order to load them.
    pub fn into_tables(self) -> Result<Vec<(&'static str, Vec<Value>)>, serde_json::Error> {
        fn json(rows: &[impl Serialize]) -> Result<Vec<Value>, serde_json::Error> {
            rows.iter().map(serde_json::to_value).collect()
        }
        Ok(vec![
            ("sentry_userrole", json(&self.roles)?),
            ("sentry_organizationmapping", json(&self.organizations)?),
            ("sentry_authprovider", json(&self.auth_providers)?),
            ("auth_user", json(&self.users)?),
            ("sentry_useremail", json(&self.emails)?),
            ("sentry_useravatar", json(&self.avatars)?),
            ("sentry_userpermission", json(&self.permissions)?),
            ("sentry_userrole_users", json(&self.role_users)?),
            ("auth_authenticator", json(&self.authenticators)?),
            ("sentry_authidentity", json(&self.auth_identities)?),
            ("sentry_useroption", json(&self.options)?),
            ("sentry_organizationmembermapping", json(&self.memberships)?),
        ])
    }
}

/// The whole directory in the order to load it: roles, then organizations, then users with all that is theirs.
///
/// A batch holds at most `per_batch` users or organizations; zero is taken for one. The rows do not depend on it.
pub fn batches(size: Size, per_batch: usize) -> impl Iterator<Item = Batch> {
    let roles = once(Batch {
        roles: sign_in::roles(),
        ..Batch::default()
    });
    roles
        .chain(slices(size.organizations, per_batch).map(organizations))
        .chain(slices(size.users, per_batch).map(move |ids| users(size, ids)))
}

fn organizations(ids: RangeInclusive<u64>) -> Batch {
    let mut batch = Batch::default();
    for id in ids {
        organization::add(id, &mut batch);
    }
    batch
}

fn users(size: Size, ids: RangeInclusive<u64>) -> Batch {
    let mut batch = Batch::default();
    for id in ids {
        let person = Person::new(size, id);
        account::add(&person, &mut batch);
        sign_in::add(&person, &mut batch);
        option::add(&person, &mut batch);
        membership::add(&person, &mut batch);
    }
    batch
}

/// The ids 1 to `count`, cut into runs of `length`.
fn slices(count: u64, length: usize) -> impl Iterator<Item = RangeInclusive<u64>> {
    let length = (length as u64).max(1);
    (0..count.div_ceil(length)).map(move |slice| {
        let first = slice * length;
        first + 1..=count.min(first.saturating_add(length))
    })
}

/// The id of the row in place `slot` of the `stride` rows that `user` may have in a table.
///
/// Unused places leave gaps, and in return a row's id follows from its user alone. No table has a stride of one, so
/// that code which takes a row's id for a user's is found out.
fn row_id(user: u64, stride: u64, slot: u64) -> i64 {
    debug_assert!(slot < stride, "slot {slot} is another user's");
    ((user - 1) * stride + slot + 1).cast_signed()
}
