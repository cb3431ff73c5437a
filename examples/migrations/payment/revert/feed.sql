-- SPDX-License-Identifier: MIT
-- Revert payment:feed from pg.
\set ON_ERROR_STOP on
\ir ../../session.sql
ALTER TABLE payments REPLICA IDENTITY DEFAULT;
ALTER TABLE subscriptions REPLICA IDENTITY DEFAULT;
ALTER TABLE invoices REPLICA IDENTITY DEFAULT;
