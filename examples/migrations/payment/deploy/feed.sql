-- SPDX-License-Identifier: MIT
-- Deploy payment:feed to pg. What the change feed (FEED=on) needs: rows of the log that tell all columns that the rules use.
\set ON_ERROR_STOP on
\ir ../../session.sql
\set identity FULL
\set table payments
\ir ../../feed_table.sql
\set table subscriptions
\ir ../../feed_table.sql
\set table invoices
\ir ../../feed_table.sql
