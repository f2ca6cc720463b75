//! Creates the organizations and their members.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, big_integer_uniq, big_pk_auto, boolean, small_integer_null,
        string_len, string_len_null, string_len_uniq, timestamp_with_time_zone,
    },
};

use crate::schema::{create_indexes, drop_tables, is_sqlite, reference, timestamp_now, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_organizations(manager).await?;
        create_members(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            manager,
            &[
                "sentry_organizationmembermapping",
                "sentry_organizationmapping",
            ],
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn create_organizations(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("sentry_organizationmapping")
                .col(big_pk_auto("id"))
                .col(big_integer_uniq("organization_id"))
                .col(string_len_uniq("slug", 50))
                .col(string_len("name", 64))
                .col(timestamp_with_time_zone("date_created"))
                .col(string_len_null("customer_id", 255))
                .col(boolean("verified"))
                .col(string_len("idempotency_key", 48))
                .col(string_len("region_name", 48))
                .col(big_integer_null("status"))
                .col(boolean("allow_joinleave").default(false))
                .col(boolean("enhanced_privacy").default(false))
                .col(boolean("require_2fa").default(false))
                .col(boolean("early_adopter").default(false))
                .col(boolean("disable_shared_issues").default(false))
                .col(boolean("disable_new_visibility_features").default(false))
                .col(boolean("require_email_verification").default(false))
                .col(boolean("disable_member_project_creation").default(false))
                .col(boolean("prevent_superuser_access").default(false))
                .col(boolean("disable_member_invite").default(false))
                .col(timestamp_now(manager, "date_updated"))
                .take(),
        )
        .await?;
    // PostgreSQL indexes only expressions that do not depend on the time zone of the session. SQLite
    // compares timestamps as text, which the bare column serves as well as a truncated one.
    let second = if is_sqlite(manager) {
        "date_updated"
    } else {
        "(date_trunc('second', date_updated AT TIME ZONE 'UTC'))"
    };
    for (name, columns) in [
        ("date_updated", format!("{second}, id")),
        (
            "region_name_date_updated",
            format!("region_name, {second}, id"),
        ),
    ] {
        manager
            .get_connection()
            .execute_unprepared(&format!(
                "CREATE INDEX sentry_organizationmapping_{name}_idx \
                 ON sentry_organizationmapping ({columns})"
            ))
            .await?;
    }
    create_indexes(
        manager,
        "sentry_organizationmapping",
        &[("customer_id", &["customer_id"])],
    )
    .await
}

async fn create_members(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("sentry_organizationmembermapping")
                .col(big_pk_auto("id"))
                .col(big_integer("organization_id"))
                .col(big_integer_null("organizationmember_id"))
                .col(timestamp_with_time_zone("date_added"))
                .col(string_len("role", 32))
                .col(reference("user_id", "auth_user").null())
                .col(string_len_null("email", 75))
                .col(reference("inviter_id", "auth_user").null())
                .col(small_integer_null("invite_status"))
                .index(&mut unique(
                    "sentry_organizationmembermapping_organization_member_uniq",
                    &["organization_id", "organizationmember_id"],
                ))
                .take(),
        )
        .await?;
    create_indexes(
        manager,
        "sentry_organizationmembermapping",
        &[
            ("organization_id", &["organization_id"]),
            ("organizationmember_id", &["organizationmember_id"]),
            ("user_id", &["user_id"]),
            ("inviter_id", &["inviter_id"]),
            ("organization_user", &["organization_id", "user_id"]),
            ("organization_email", &["organization_id", "email"]),
        ],
    )
    .await
}
