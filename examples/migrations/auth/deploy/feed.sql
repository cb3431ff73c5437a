-- SPDX-License-Identifier: MIT
-- Deploy auth:feed to pg. What the change feed (FEED=on) needs: rows of the log that tell all columns that the rules use.
\set ON_ERROR_STOP on
\ir ../../session.sql
\set identity FULL
\set table users
\ir ../../feed_table.sql
\set table roles
\ir ../../feed_table.sql
\set table role_permissions
\ir ../../feed_table.sql
\set table token_blacklist
\ir ../../feed_table.sql
