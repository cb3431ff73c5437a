-- SPDX-License-Identifier: MIT
-- Fills the schema: psql -v users=50000 -v revoked=20000 -f data.sql. The same rows each time (hashes of row numbers).
-- Few roles have most users, as in ../recommendation/data.sql; an administrator has everything, a guest can read.
CREATE FUNCTION pg_temp.u(i bigint, salt bigint) RETURNS double precision LANGUAGE sql IMMUTABLE
RETURN ((hashint8extended(i, salt) >> 11) & 9007199254740991) / 9007199254740992::double precision;

INSERT INTO roles (id, name)
SELECT 'role-' || i, (ARRAY['member', 'creator', 'premium', 'moderator', 'support', 'finance', 'administrator', 'guest'])[i + 1]
FROM generate_series(0, 7) i;

INSERT INTO permissions (id, description)
SELECT noun || '.' || verb, 'may ' || verb || ' ' || noun
FROM unnest(ARRAY['content', 'comment', 'message', 'profile', 'payment', 'user', 'role', 'report']) noun,
     unnest(ARRAY['read', 'create', 'change', 'delete', 'publish']) verb;

INSERT INTO role_permissions (role_id, permission_id)
SELECT roles.id, permissions.id
FROM roles, permissions
WHERE name = 'administrator' OR permissions.id LIKE '%.read'
   OR (name <> 'guest' AND pg_temp.u(hashtext(roles.id || permissions.id), 1) < 0.4)
ORDER BY roles.id, permissions.id;

INSERT INTO users (id, username, email, role_id, is_active, created_at)
SELECT 'user-' || i, 'member' || i, 'member' || i || '@example.org',
       'role-' || floor(power(9, pg_temp.u(i, 2)))::bigint - 1, pg_temp.u(i, 3) < 0.9,
       now() - interval '1 day' * 900 * pg_temp.u(i, 4)
FROM generate_series(0, :users - 1) i;

INSERT INTO token_blacklist (token_hash, user_id, expires_at, created_at)
SELECT encode(sha256(('revoked ' || i)::bytea), 'hex'), 'user-' || floor(:users * pg_temp.u(i, 5))::bigint,
       now() + interval '1 day' * (30 * pg_temp.u(i, 6) - 15), now() - interval '1 day' * 15 * pg_temp.u(i, 6)
FROM generate_series(1, :revoked) i;

ANALYZE;
