-- SPDX-License-Identifier: MIT
-- The indexes of payment, each with what is done to it: :step is ../index_check.sql, ../index_build.sql or ../index_verify.sql.

-- The document has the first two; with the others the newest are read off the index.
\set index idx_payment_user_id_status
\set on 'payments (user_id, status, created_at DESC, id)'
\ir :step

\set index idx_subscription_user_id_active
\set on 'subscriptions (user_id, is_active)'
\ir :step

-- The id decides between invoices of one moment.
\set index idx_invoice_user_id_created_at
\set on 'invoices (user_id, created_at DESC, id)'
\ir :step

-- Not in the document: a refund cancels the invoice of its payment.
\set index idx_invoice_payment_id
\set on 'invoices (payment_id)'
\ir :step

-- Not in the document: who is warmed at the start.
\set index idx_subscription_started_at
\set on 'subscriptions (started_at DESC, id) WHERE is_active'
\ir :step
