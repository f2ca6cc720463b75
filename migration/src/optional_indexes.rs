//! The indexes Sentry does not have, as data: migrations build them, and an operator can add them to
//! an existing database.

/// An index of ours that an existing Sentry database on `PostgreSQL` would profit from.
#[derive(Clone, Copy, Debug)]
pub struct OptionalIndex {
    /// The table the index is on.
    pub table: &'static str,
    /// The name we give the index.
    pub name: &'static str,
    /// What is slow or unsafe without it.
    pub serves: &'static str,
    /// Fragments that the lower-cased `pg_indexes.indexdef` of an equivalent index contains, all of
    /// them.
    pub matches: &'static [&'static str],
    /// The statement that adds the index to a database in use.
    pub statement: &'static str,
    /// The extension that must be installed first.
    pub requires_extension: Option<&'static str>,
}

/// The index that is built by a migration of its own. All rows are in it that the relay looks for;
/// the condition keeps it from being taken for anything else.
pub(crate) const OUTBOX_DUE: OptionalIndex = OptionalIndex {
    table: "sentry_controloutbox",
    name: "user_gateway_controloutbox_due",
    serves: "Without it, where --outbox-relay is on, each look at the outbox reads everything that \
             waits for a region, which is much after an outage.",
    matches: &[
        "using btree (region_name, scheduled_for, id)",
        "where (object_identifier = shard_identifier)",
    ],
    statement: "CREATE INDEX CONCURRENTLY user_gateway_controloutbox_due \
                ON sentry_controloutbox (region_name, scheduled_for, id) \
                WHERE object_identifier = shard_identifier",
    requires_extension: None,
};

/// All indexes of ours.
pub const OPTIONAL_INDEXES: &[OptionalIndex] = &[
    OptionalIndex {
        table: "auth_user",
        name: "user_gateway_auth_user_email_upper",
        serves: "Without it every lookup of a user by primary address in any letter case reads the \
                 whole table.",
        matches: &["using btree (upper((email)::text)"],
        statement: "CREATE INDEX CONCURRENTLY user_gateway_auth_user_email_upper \
                    ON auth_user (UPPER(email::text))",
        requires_extension: None,
    },
    OptionalIndex {
        table: "auth_user",
        name: "user_gateway_auth_user_username_upper",
        serves: "Without it every lookup of a user by user name in any letter case reads the whole \
                 table.",
        matches: &["using btree (upper((username)::text)"],
        statement: "CREATE INDEX CONCURRENTLY user_gateway_auth_user_username_upper \
                    ON auth_user (UPPER(username::text))",
        requires_extension: None,
    },
    OptionalIndex {
        table: "sentry_useremail",
        name: "user_gateway_useremail_email_upper",
        serves: "Without it every lookup of a user by any of the user's addresses reads the whole \
                 table.",
        matches: &["using btree (upper((email)::text)"],
        statement: "CREATE INDEX CONCURRENTLY user_gateway_useremail_email_upper \
                    ON sentry_useremail (UPPER(email::text))",
        requires_extension: None,
    },
    OptionalIndex {
        table: "auth_user",
        name: "user_gateway_auth_user_first_name_trgm",
        serves: "Without it every search for a part of a name reads the whole table.",
        matches: &["using gin", "upper((first_name)::text)", "gin_trgm_ops"],
        statement: "CREATE INDEX CONCURRENTLY user_gateway_auth_user_first_name_trgm \
                    ON auth_user USING gin (UPPER(first_name::text) gin_trgm_ops) \
                    WITH (gin_pending_list_limit = 256)",
        requires_extension: Some("pg_trgm"),
    },
    OptionalIndex {
        table: "auth_user",
        name: "user_gateway_auth_user_username_trgm",
        serves: "Without it every search for a part of a user name reads the whole table.",
        matches: &["using gin", "upper((username)::text)", "gin_trgm_ops"],
        statement: "CREATE INDEX CONCURRENTLY user_gateway_auth_user_username_trgm \
                    ON auth_user USING gin (UPPER(username::text) gin_trgm_ops) \
                    WITH (gin_pending_list_limit = 256)",
        requires_extension: Some("pg_trgm"),
    },
    OptionalIndex {
        table: "sentry_useremail",
        name: "user_gateway_useremail_email_trgm",
        serves: "Without it every search for a part of an address reads the whole table.",
        matches: &["using gin", "upper((email)::text)", "gin_trgm_ops"],
        statement: "CREATE INDEX CONCURRENTLY user_gateway_useremail_email_trgm \
                    ON sentry_useremail USING gin (UPPER(email::text) gin_trgm_ops) \
                    WITH (gin_pending_list_limit = 256)",
        requires_extension: Some("pg_trgm"),
    },
    OptionalIndex {
        table: "auth_user",
        name: "user_gateway_auth_user_date_joined_id",
        serves: "Without it every page of users ordered by the date they joined sorts the whole \
                 table.",
        matches: &["using btree (date_joined, id)"],
        statement: "CREATE INDEX CONCURRENTLY user_gateway_auth_user_date_joined_id \
                    ON auth_user (date_joined, id)",
        requires_extension: None,
    },
    OptionalIndex {
        table: "sentry_organizationmembermapping",
        name: "user_gateway_organizationmembermapping_user_organization",
        serves: "Without it every list of a user's organizations fetches each membership row from \
                 the table instead of reading the index alone.",
        matches: &["using btree (user_id, organization_id"],
        statement: "CREATE INDEX CONCURRENTLY \
                    user_gateway_organizationmembermapping_user_organization \
                    ON sentry_organizationmembermapping (user_id, organization_id)",
        requires_extension: None,
    },
    OptionalIndex {
        table: "sentry_useroption",
        name: "user_gateway_useroption_global",
        serves: "Without it two writers can both insert the same global option of a user; \
                 duplicates that exist already must be removed before it is built.",
        matches: &[
            "create unique index",
            "(user_id, key)",
            "project_id is null",
            "organization_id is null",
        ],
        statement: "CREATE UNIQUE INDEX CONCURRENTLY user_gateway_useroption_global \
                    ON sentry_useroption (user_id, key) \
                    WHERE project_id IS NULL AND organization_id IS NULL",
        requires_extension: None,
    },
    OUTBOX_DUE,
];
