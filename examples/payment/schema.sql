-- SPDX-License-Identifier: MIT
-- payment_db, as an ORM would make it: primary keys, no other index (../migrations/payment adds those). Users are auth's.
CREATE TABLE payment_methods (
        id text PRIMARY KEY,
        user_id text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('card', 'transfer', 'wallet')),
        label text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE subscriptions (
        id text PRIMARY KEY,
        user_id text NOT NULL,
        plan text NOT NULL CHECK (plan IN ('basic', 'gold', 'platinum')),
        is_active boolean NOT NULL DEFAULT true,
        started_at timestamptz NOT NULL DEFAULT now(),
        ended_at timestamptz
);

CREATE TABLE payments (
        id text PRIMARY KEY,
        user_id text NOT NULL,
        method_id text REFERENCES payment_methods (id),
        amount_cents bigint NOT NULL CHECK (amount_cents > 0),
        currency text NOT NULL DEFAULT 'EUR',
        status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'completed', 'failed', 'refunded')),
        created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE invoices (
        id text PRIMARY KEY,
        user_id text NOT NULL,
        payment_id text NOT NULL REFERENCES payments (id),
        amount_cents bigint NOT NULL,
        currency text NOT NULL,
        is_cancelled boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL DEFAULT now()
);
