//! The statement that sets an option, with all that belongs to it.

/// Sets the option `$2` of the user `$1`, which stands for everything, to the JSON `$3`, on
/// PostgreSQL and on tables where a unique index keeps such options single.
///
/// The user may have at most `$8` options and `$9` bytes of values; both are read only for a new option
/// or a longer value. A change comes with outbox rows for the regions `$4`, written at `$5` and due at
/// `$6`, and other processes are notified by `$7`. An equal value changes nothing. It returns the
/// option's id, whether it was written, and the highest id of the outbox rows. Without an id nothing was
/// changed: the user does not exist, a limit is reached, or another transaction changes the option.
pub(in crate::database) const SET_GLOBAL_OPTION: &str = "\
    WITH stored AS (\
    SELECT id, COALESCE(value, 'null'::jsonb)::text AS value FROM sentry_useroption \
    WHERE user_id = $1::bigint AND key = $2::text \
    AND project_id IS NULL AND organization_id IS NULL), \
    written AS (\
    INSERT INTO sentry_useroption AS kept (user_id, key, value) \
    SELECT u.id, $2::text, $3::text::jsonb FROM auth_user AS u LEFT JOIN stored ON TRUE \
    WHERE u.id = $1::bigint \
    AND (octet_length($3::text::jsonb::text) <= octet_length(stored.value) \
    OR (SELECT (COUNT(*) < $8::bigint OR stored.id IS NOT NULL) \
    AND COALESCE(SUM(octet_length(COALESCE(o.value, 'null'::jsonb)::text)), 0) \
    - COALESCE(octet_length(stored.value), 0) + octet_length($3::text::jsonb::text) <= $9::bigint \
    FROM sentry_useroption AS o WHERE o.user_id = $1::bigint)) \
    ON CONFLICT (user_id, key) WHERE project_id IS NULL AND organization_id IS NULL \
    DO UPDATE SET value = EXCLUDED.value \
    WHERE COALESCE(kept.value, 'null'::jsonb)::text <> EXCLUDED.value::text RETURNING id), \
    told AS (\
    INSERT INTO sentry_controloutbox (shard_scope, shard_identifier, category, \
    object_identifier, scheduled_from, scheduled_for, date_added, region_name) \
    SELECT 1, $1::bigint, 0, $1::bigint, $5::timestamptz, $6::timestamptz, $5::timestamptz, r.name \
    FROM written CROSS JOIN UNNEST($4::text[]) WITH ORDINALITY AS r(name, place) \
    ORDER BY r.place RETURNING id) \
    SELECT COALESCE((SELECT id FROM written), \
    (SELECT id FROM stored WHERE value = $3::text::jsonb::text)), \
    EXISTS (SELECT FROM written), (SELECT MAX(id) FROM told), \
    (SELECT pg_notify('user_gateway_change', $7::text || ' ' || $1::bigint) FROM written)";
