-- SPDX-License-Identifier: MIT
-- Fails unless :index is there, valid, and as :on says.
\set ON_ERROR_STOP on
\ir index_look.sql
\if :another
\warn :index is another index: it is :found, wanted is :wanted
DO $$ BEGIN RAISE EXCEPTION 'an index of that name is another one'; END $$;
\elif :there
\else
\warn :index is missing or invalid
DO $$ BEGIN RAISE EXCEPTION 'an index is missing or invalid'; END $$;
\endif
\unset unique
