//! The statement that creates a user, with all that belongs to one.

/// Creates a user, on PostgreSQL.
///
/// `values` selects the values of the columns `names` of at most one user, and `answer` what is
/// returned of the one in `created`. The user comes with the address `$1`, whose validation hash is
/// `$4`, and with outbox rows for the regions `$5`, due at `$6`; `told` holds their ids.
pub(in crate::database) fn creating_user(names: &str, values: &str, answer: &str) -> String {
    format!(
        "WITH created AS (INSERT INTO auth_user ({names}) {values} RETURNING *), \
         address AS (\
         INSERT INTO sentry_useremail (user_id, email, validation_hash, date_hash_added, is_verified) \
         SELECT id, $1::text, $4::text, date_joined, false FROM created), \
         told AS (\
         INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
         object_identifier, scheduled_from, scheduled_for, date_added, region_name) \
         SELECT 1, u.id, 0, u.id, u.date_joined, $6::timestamptz, u.date_joined, r.name \
         FROM created AS u CROSS JOIN UNNEST($5::text[]) WITH ORDINALITY AS r(name, place) \
         ORDER BY r.place RETURNING id) \
         {answer}"
    )
}
