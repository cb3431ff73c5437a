-- SPDX-License-Identifier: MIT
-- Deploy payment:feed to pg. What the change feed (FEED=on) needs: rows of the log that tell all columns that the rules use.
\set ON_ERROR_STOP on
\ir ../../session.sql
ALTER TABLE payments REPLICA IDENTITY FULL;
ALTER TABLE subscriptions REPLICA IDENTITY FULL;
ALTER TABLE invoices REPLICA IDENTITY FULL;
