//! Creates the users and the tables that hang on a user.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, big_pk_auto, boolean, boolean_null, json_binary, pk_auto,
        small_integer, string_len, string_len_null, string_len_uniq, timestamp_with_time_zone,
        timestamp_with_time_zone_null,
    },
};

use crate::schema::{create_indexes, drop_tables, positive_integer, reference, text_list, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_users(manager).await?;
        create_emails(manager).await?;
        create_avatars(manager).await?;
        create_roles(manager).await?;
        create_permissions(manager).await?;
        create_authenticators(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            manager,
            &[
                "auth_authenticator",
                "sentry_userpermission",
                "sentry_userrole_users",
                "sentry_userrole",
                "sentry_useravatar",
                "sentry_useremail",
                "auth_user",
            ],
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn create_users(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("auth_user")
                .col(big_pk_auto("id"))
                .col(string_len("password", 128))
                .col(timestamp_with_time_zone_null("last_login"))
                .col(string_len_uniq("username", 128))
                .col(string_len("first_name", 200))
                .col(string_len("email", 200))
                .col(string_len_null("email_unique", 200).unique_key())
                .col(boolean("is_staff"))
                .col(boolean("is_active"))
                .col(boolean("is_unclaimed").default(false))
                .col(boolean("is_superuser"))
                .col(boolean("is_managed"))
                .col(boolean_null("is_sentry_app"))
                .col(boolean("is_password_expired"))
                .col(boolean("is_suspended").default(false))
                .col(timestamp_with_time_zone_null("last_password_change"))
                .col(big_integer("flags"))
                .col(string_len_null("session_nonce", 12))
                .col(timestamp_with_time_zone("date_joined"))
                .col(timestamp_with_time_zone_null("last_active"))
                .col(small_integer("avatar_type").default(0))
                .col(string_len_null("avatar_url", 120))
                .take(),
        )
        .await
}

async fn create_emails(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("sentry_useremail")
                .col(big_pk_auto("id"))
                .col(reference("user_id", "auth_user").not_null())
                .col(string_len("email", 200))
                .col(string_len("validation_hash", 32))
                .col(timestamp_with_time_zone("date_hash_added"))
                .col(boolean("is_verified"))
                .index(&mut unique(
                    "sentry_useremail_user_id_email_uniq",
                    &["user_id", "email"],
                ))
                .take(),
        )
        .await?;
    create_indexes(manager, "sentry_useremail", &[("user_id", &["user_id"])]).await
}

async fn create_avatars(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("sentry_useravatar")
                .col(big_pk_auto("id"))
                .col(string_len_uniq("ident", 32))
                .col(big_integer_null("control_file_id").unique_key())
                .col(small_integer("avatar_type"))
                .col(reference("user_id", "auth_user").not_null().unique_key())
                .take(),
        )
        .await
}

async fn create_roles(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("sentry_userrole")
                .col(big_pk_auto("id"))
                .col(timestamp_with_time_zone("date_updated"))
                .col(timestamp_with_time_zone_null("date_added"))
                .col(string_len_uniq("name", 32))
                .col(text_list(manager, "permissions"))
                .take(),
        )
        .await?;
    manager
        .create_table(
            Table::create()
                .table("sentry_userrole_users")
                .col(big_pk_auto("id"))
                .col(timestamp_with_time_zone("date_updated"))
                .col(timestamp_with_time_zone_null("date_added"))
                .col(reference("user_id", "auth_user").not_null())
                .col(reference("role_id", "sentry_userrole").not_null())
                .take(),
        )
        .await?;
    create_indexes(
        manager,
        "sentry_userrole_users",
        &[("user_id", &["user_id"]), ("role_id", &["role_id"])],
    )
    .await
}

async fn create_permissions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("sentry_userpermission")
                .col(big_pk_auto("id"))
                .col(reference("user_id", "auth_user").not_null())
                .col(string_len("permission", 32))
                .index(&mut unique(
                    "sentry_userpermission_user_id_permission_uniq",
                    &["user_id", "permission"],
                ))
                .take(),
        )
        .await?;
    create_indexes(
        manager,
        "sentry_userpermission",
        &[("user_id", &["user_id"])],
    )
    .await
}

async fn create_authenticators(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("auth_authenticator")
                .col(pk_auto("id"))
                .col(reference("user_id", "auth_user").not_null())
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .col(positive_integer("type").not_null())
                .col(json_binary("config"))
                .index(&mut unique(
                    "auth_authenticator_user_id_type_uniq",
                    &["user_id", "type"],
                ))
                .take(),
        )
        .await?;
    create_indexes(manager, "auth_authenticator", &[("user_id", &["user_id"])]).await
}
