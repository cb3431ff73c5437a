-- SPDX-License-Identifier: MIT
-- Revert payment:unique from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql

\set index idx_subscription_one_active
\ir ../../index_drop.sql
