-- SPDX-License-Identifier: MIT
-- Verify payment:indexes on pg.
\set ON_ERROR_STOP on

\set index idx_payment_user_id_status
\set table payments
\ir ../../index_verify.sql

\set index idx_subscription_user_id_active
\set table subscriptions
\ir ../../index_verify.sql

\set index idx_invoice_user_id_created_at
\set table invoices
\ir ../../index_verify.sql

\set index idx_invoice_payment_id
\set table invoices
\ir ../../index_verify.sql

\set index idx_subscription_started_at
\set table subscriptions
\ir ../../index_verify.sql
