-- SPDX-License-Identifier: MIT
-- Verify payment:feed on pg.
\set ON_ERROR_STOP on
\set table payments
\ir ../../feed_verify.sql
\set table subscriptions
\ir ../../feed_verify.sql
\set table invoices
\ir ../../feed_verify.sql
