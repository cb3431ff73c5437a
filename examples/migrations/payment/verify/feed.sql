-- SPDX-License-Identifier: MIT
-- Verify payment:feed on pg.
\set ON_ERROR_STOP on
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('payments') AND relreplident = 'f' \gset
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('subscriptions') AND relreplident = 'f' \gset
SELECT 1 / count(*) AS ok FROM pg_class WHERE oid = to_regclass('invoices') AND relreplident = 'f' \gset
