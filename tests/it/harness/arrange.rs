//! Rows put into a database past the services, so that a test of a read depends on no write.

use user_gateway::domain::{OrganizationId, UserId};

use super::database::TestDatabase;

/// An account, as far as tests care.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account<'a> {
    pub(crate) username: &'a str,
    pub(crate) name: &'a str,
    pub(crate) email: &'a str,
    pub(crate) password: &'a str,
    pub(crate) is_active: bool,
    pub(crate) is_superuser: bool,
    pub(crate) is_staff: bool,
    pub(crate) date_joined: &'a str,
}

impl Default for Account<'_> {
    fn default() -> Self {
        Self {
            username: "somebody",
            name: "",
            email: "",
            password: "pbkdf2_sha256$1$salt$hash",
            is_active: true,
            is_superuser: false,
            is_staff: false,
            date_joined: "2025-01-01T00:00:00+00:00",
        }
    }
}

impl TestDatabase {
    /// Adds an account alone, without a row for its address.
    pub(crate) async fn add(&self, account: Account<'_>) -> UserId {
        let Account {
            is_active,
            is_superuser,
            is_staff,
            date_joined,
            ..
        } = account;
        let [username, name, email, password] = [
            account.username,
            account.name,
            account.email,
            account.password,
        ]
        .map(quoted);
        let id = self
            .number(&format!(
                "INSERT INTO auth_user (password, username, first_name, email, is_staff, \
                 is_active, is_superuser, is_managed, is_password_expired, flags, date_joined) \
                 VALUES ({password}, {username}, {name}, {email}, {is_staff}, {is_active}, \
                 {is_superuser}, false, false, 0, '{date_joined}') RETURNING id"
            ))
            .await;
        UserId(id)
    }

    /// Adds an active account with this username, and `USERNAME@example.com` as its verified
    /// address.
    pub(crate) async fn add_user(&self, username: &str) -> UserId {
        let email = format!("{username}@example.com");
        let account = Account {
            username,
            email: &email,
            ..Account::default()
        };
        let id = self.add(account).await;
        self.add_email(id, &email, true).await;
        id
    }

    /// Adds accounts with these usernames.
    pub(crate) async fn add_users<const N: usize>(&self, usernames: [&str; N]) -> [UserId; N] {
        let mut ids = [UserId(0); N];
        for (id, username) in ids.iter_mut().zip(usernames) {
            *id = self.add_user(username).await;
        }
        ids
    }

    pub(crate) async fn add_email(&self, user: UserId, email: &str, is_verified: bool) -> i64 {
        let email = quoted(email);
        self.number(&format!(
            "INSERT INTO sentry_useremail \
             (user_id, email, validation_hash, date_hash_added, is_verified) \
             VALUES ({user}, {email}, 'hash', '2025-01-01T00:00:00+00:00', {is_verified}) \
             RETURNING id"
        ))
        .await
    }

    pub(crate) async fn add_authenticator(&self, user: UserId, kind: i32, config: &str) -> i64 {
        let config = quoted(config);
        self.execute(&format!(
            "INSERT INTO auth_authenticator (user_id, created_at, type, config) \
             VALUES ({user}, '2025-01-01T00:00:00+00:00', {kind}, {config})"
        ))
        .await;
        self.number(&format!(
            "SELECT CAST(id AS bigint) FROM auth_authenticator \
             WHERE user_id = {user} AND type = {kind}"
        ))
        .await
    }

    /// Adds an organization in a region; status 0 is active.
    pub(crate) async fn add_organization(
        &self,
        id: i64,
        region: &str,
        status: Option<i64>,
    ) -> OrganizationId {
        let status = status.map_or_else(|| "NULL".to_owned(), |status| status.to_string());
        self.execute(&format!(
            "INSERT INTO sentry_organizationmapping (organization_id, slug, name, date_created, \
             verified, idempotency_key, region_name, status) VALUES ({id}, 'org-{id}', \
             'Organization {id}', '2025-01-01T00:00:00+00:00', false, '', '{region}', {status})"
        ))
        .await;
        OrganizationId(id)
    }

    /// Makes a user a member.
    pub(crate) async fn join(&self, user: UserId, organization: OrganizationId) {
        self.add_membership(organization, Some(user), "member", Some(0))
            .await;
    }

    /// Adds a membership row; invite status 0 is approved, and no user is an invitation by mail.
    pub(crate) async fn add_membership(
        &self,
        organization: OrganizationId,
        user: Option<UserId>,
        role: &str,
        invite_status: Option<i16>,
    ) {
        let user = user.map_or_else(|| "NULL".to_owned(), |user| user.to_string());
        let status = invite_status.map_or_else(|| "NULL".to_owned(), |status| status.to_string());
        self.execute(&format!(
            "INSERT INTO sentry_organizationmembermapping \
             (organization_id, date_added, role, user_id, invite_status) VALUES \
             ({organization}, '2025-01-01T00:00:00+00:00', '{role}', {user}, {status})"
        ))
        .await;
    }

    /// Adds a role with these permissions.
    pub(crate) async fn add_role(&self, name: &str, permissions: &[&str]) -> i64 {
        let permissions = permissions
            .iter()
            .map(|permission| format!("\"{permission}\""))
            .collect::<Vec<_>>()
            .join(",");
        let permissions = quoted(&format!("{{{permissions}}}"));
        self.number(&format!(
            "INSERT INTO sentry_userrole (date_updated, name, permissions) VALUES \
             ('2025-01-01T00:00:00+00:00', '{name}', {permissions}) RETURNING id"
        ))
        .await
    }

    pub(crate) async fn give_role(&self, user: UserId, role: i64) {
        self.execute(&format!(
            "INSERT INTO sentry_userrole_users (date_updated, user_id, role_id) \
             VALUES ('2025-01-01T00:00:00+00:00', {user}, {role})"
        ))
        .await;
    }

    /// Adds a single sign-on provider to an organization.
    pub(crate) async fn add_provider(&self, organization: OrganizationId) -> i64 {
        self.number(&format!(
            "INSERT INTO sentry_authprovider (organization_id, provider, config, date_added, \
             default_role, default_global_access, flags) VALUES ({organization}, 'okta', '{{}}', \
             '2025-01-01T00:00:00+00:00', 50, true, 0) RETURNING id"
        ))
        .await
    }

    pub(crate) async fn add_identity(&self, user: UserId, provider: i64, ident: &str) -> i64 {
        self.number(&format!(
            "INSERT INTO sentry_authidentity (user_id, auth_provider_id, ident, data, \
             last_verified, last_synced, date_added) VALUES ({user}, {provider}, '{ident}', '{{}}', \
             '2025-01-02T00:00:00+00:00', '2025-01-03T00:00:00+00:00', \
             '2025-01-01T00:00:00+00:00') RETURNING id"
        ))
        .await
    }

    /// Adds an account of another service that a user signs in with.
    pub(crate) async fn add_social_auth(&self, user: UserId, provider: &str, uid: &str) {
        self.execute(&format!(
            "INSERT INTO social_auth_usersocialauth (user_id, provider, uid, extra_data) \
             VALUES ({user}, '{provider}', '{uid}', '{{}}')"
        ))
        .await;
    }

    pub(crate) async fn add_avatar(&self, user: UserId, kind: i16, file: Option<i64>) {
        let file = file.map_or_else(|| "NULL".to_owned(), |file| file.to_string());
        self.execute(&format!(
            "INSERT INTO sentry_useravatar (ident, control_file_id, avatar_type, user_id) \
             VALUES ('ident-{user}', {file}, {kind}, {user})"
        ))
        .await;
    }

    /// Adds an option; `scope` is the project and the organization, and `value` the stored text,
    /// where `NULL` is SQL's.
    pub(crate) async fn add_option(
        &self,
        user: UserId,
        scope: (Option<i64>, Option<i64>),
        key: &str,
        value: &str,
    ) -> i64 {
        let id = |id: Option<i64>| id.map_or_else(|| "NULL".to_owned(), |id| id.to_string());
        let (project, organization) = (id(scope.0), id(scope.1));
        let value = if value == "NULL" {
            value.to_owned()
        } else {
            quoted(value)
        };
        self.number(&format!(
            "INSERT INTO sentry_useroption (user_id, project_id, organization_id, key, value) \
             VALUES ({user}, {project}, {organization}, '{key}', {value}) RETURNING id"
        ))
        .await
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
