-- SPDX-License-Identifier: MIT
-- What there may be only once in payment, as indexes.sql: a user has one active subscription.

\set index idx_subscription_one_active
\set on 'subscriptions (user_id) WHERE is_active'
\set unique UNIQUE
\ir :step
