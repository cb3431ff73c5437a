-- SPDX-License-Identifier: MIT
-- Revert payment:feed from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql
\set identity DEFAULT
\set table payments
\ir ../../feed_table.sql
\set table subscriptions
\ir ../../feed_table.sql
\set table invoices
\ir ../../feed_table.sql
