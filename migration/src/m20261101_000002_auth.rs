//! Creates single sign-on and the API tokens.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, big_integer_uniq, big_pk_auto, boolean, json_binary,
        string_len, string_len_null, string_len_uniq, timestamp_with_time_zone,
        timestamp_with_time_zone_null,
    },
};

use crate::schema::{create_indexes, drop_tables, positive_integer, reference, text_list, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_providers(manager).await?;
        create_identities(manager).await?;
        create_tokens(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            manager,
            &[
                "sentry_apitoken",
                "sentry_authidentity",
                "sentry_authprovider",
            ],
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn create_providers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("sentry_authprovider")
                .col(big_pk_auto("id"))
                .col(big_integer_uniq("organization_id"))
                .col(string_len("provider", 128))
                .col(json_binary("config"))
                .col(timestamp_with_time_zone("date_added"))
                .col(positive_integer("sync_time").null())
                .col(timestamp_with_time_zone_null("last_sync"))
                .col(positive_integer("default_role").not_null())
                .col(boolean("default_global_access"))
                .col(big_integer("flags"))
                .take(),
        )
        .await
}

async fn create_identities(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("sentry_authidentity")
                .col(big_pk_auto("id"))
                .col(reference("user_id", "auth_user").not_null())
                .col(reference("auth_provider_id", "sentry_authprovider").not_null())
                .col(string_len("ident", 128))
                .col(json_binary("data"))
                .col(timestamp_with_time_zone("last_verified"))
                .col(timestamp_with_time_zone("last_synced"))
                .col(timestamp_with_time_zone("date_added"))
                .index(&mut unique(
                    "sentry_authidentity_auth_provider_id_ident_uniq",
                    &["auth_provider_id", "ident"],
                ))
                .index(&mut unique(
                    "sentry_authidentity_auth_provider_id_user_id_uniq",
                    &["auth_provider_id", "user_id"],
                ))
                .take(),
        )
        .await?;
    create_indexes(
        manager,
        "sentry_authidentity",
        &[
            ("user_id", &["user_id"]),
            ("auth_provider_id", &["auth_provider_id"]),
            ("last_synced", &["last_synced"]),
        ],
    )
    .await
}

/// The table of applications is not part of this schema, hence no constraint on `application_id`.
async fn create_tokens(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("sentry_apitoken")
                .col(big_pk_auto("id"))
                .col(reference("user_id", "auth_user").not_null())
                .col(big_integer_null("application_id"))
                .col(big_integer_null("scoping_organization_id"))
                .col(string_len_null("name", 255))
                .col(string_len_uniq("token", 71))
                .col(string_len_null("hashed_token", 128).unique_key())
                .col(string_len_null("token_type", 7))
                .col(string_len_null("token_last_characters", 4))
                .col(string_len_null("refresh_token", 71).unique_key())
                .col(string_len_null("hashed_refresh_token", 128).unique_key())
                .col(big_integer("scopes"))
                .col(text_list(manager, "scope_list"))
                .col(timestamp_with_time_zone_null("expires_at"))
                .col(timestamp_with_time_zone("date_added"))
                .take(),
        )
        .await?;
    create_indexes(
        manager,
        "sentry_apitoken",
        &[
            ("user_id", &["user_id"]),
            ("application_id", &["application_id"]),
            ("scoping_organization_id", &["scoping_organization_id"]),
        ],
    )
    .await
}
