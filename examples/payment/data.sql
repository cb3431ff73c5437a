-- SPDX-License-Identifier: MIT
-- Fills the schema: psql -v users=50000 -v payments=500000 -f data.sql. The same rows each time (hashes of row numbers); who
-- pays follows Zipf's law, as in ../recommendation/data.sql. Nine of ten payments are completed, and those have an invoice.
CREATE FUNCTION pg_temp.u(i bigint, salt bigint) RETURNS double precision LANGUAGE sql IMMUTABLE
RETURN ((hashint8extended(i, salt) >> 11) & 9007199254740991) / 9007199254740992::double precision;

CREATE FUNCTION pg_temp.pick(n bigint, i bigint, salt bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (floor(power(n + 1, pg_temp.u(i, salt)))::bigint - 1) * 2147483647 % n;

INSERT INTO payment_methods (id, user_id, kind, label, created_at)
SELECT 'method-' || i, 'user-' || i, (ARRAY['card', 'transfer', 'wallet'])[1 + floor(3 * pg_temp.u(i, 1))::integer],
       'ends in ' || floor(10000 * pg_temp.u(i, 2))::integer, now() - interval '1 day' * 900 * pg_temp.u(i, 3)
FROM generate_series(0, :users - 1) i;

-- Up to three subscriptions a user, of which the last may be active.
INSERT INTO subscriptions (id, user_id, plan, is_active, started_at, ended_at)
SELECT 'subscription-' || i || '-' || n, 'user-' || i,
       (ARRAY['basic', 'basic', 'gold', 'platinum'])[1 + floor(4 * pg_temp.u(i * 4 + n, 4))::integer],
       last, now() - interval '1 day' * (700 - 200 * n), CASE WHEN NOT last THEN now() - interval '1 day' * (510 - 200 * n) END
FROM generate_series(0, :users - 1) i, generate_series(0, floor(3.5 * pg_temp.u(i, 5))::integer - 1) n,
     LATERAL (SELECT n = floor(3.5 * pg_temp.u(i, 5))::integer - 1 AND pg_temp.u(i, 6) < 0.8 AS last) AS which;

INSERT INTO payments (id, user_id, method_id, amount_cents, currency, status, created_at)
SELECT 'payment-' || i, 'user-' || member, 'method-' || member, 499 + floor(20000 * pg_temp.u(i, 8))::bigint,
       CASE WHEN pg_temp.u(i, 9) < 0.8 THEN 'EUR' ELSE 'USD' END,
       CASE WHEN pg_temp.u(i, 10) < 0.9 THEN 'completed' WHEN pg_temp.u(i, 10) < 0.94 THEN 'failed'
            WHEN pg_temp.u(i, 10) < 0.97 THEN 'refunded' ELSE 'pending' END,
       now() - interval '1 day' * 700 * pg_temp.u(i, 11)
FROM (SELECT i, pg_temp.pick(:users, i, 7) AS member FROM generate_series(0, :payments - 1) i) AS drawn;

INSERT INTO invoices (id, user_id, payment_id, amount_cents, currency, is_cancelled, created_at)
SELECT 'invoice-' || substr(id, 9), user_id, id, amount_cents, currency, status = 'refunded', created_at + interval '1 minute'
FROM payments WHERE status IN ('completed', 'refunded');

ANALYZE;
