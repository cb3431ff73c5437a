-- SPDX-License-Identifier: MIT
-- Deploy payment:indexes to pg. Each step may run again: see ../../index_build.sql.
\set ON_ERROR_STOP on
\ir ../../session.sql

-- The document has the first two; with the others the newest are read off the index.
\set index idx_payment_user_id_status
\set on 'payments (user_id, status, created_at DESC, id)'
\ir ../../index_build.sql

\set index idx_subscription_user_id_active
\set on 'subscriptions (user_id, is_active)'
\ir ../../index_build.sql

-- The id decides between invoices of one moment.
\set index idx_invoice_user_id_created_at
\set on 'invoices (user_id, created_at DESC, id)'
\ir ../../index_build.sql

-- Not in the document: a refund cancels the invoice of its payment.
\set index idx_invoice_payment_id
\set on 'invoices (payment_id)'
\ir ../../index_build.sql

-- Not in the document: who is warmed at the start.
\set index idx_subscription_started_at
\set on 'subscriptions (started_at DESC, id) WHERE is_active'
\ir ../../index_build.sql

ANALYZE invoices, payments, subscriptions;
