-- SPDX-License-Identifier: MIT
-- Revert payment:indexes from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql

\set index idx_subscription_started_at
\ir ../../index_drop.sql

\set index idx_invoice_payment_id
\ir ../../index_drop.sql

\set index idx_invoice_user_id_created_at
\ir ../../index_drop.sql

\set index idx_subscription_user_id_active
\ir ../../index_drop.sql

\set index idx_payment_user_id_status
\ir ../../index_drop.sql
