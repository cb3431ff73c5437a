-- SPDX-License-Identifier: MIT
-- One step back: drops :index, where it is there.
\set ON_ERROR_STOP on
SET lock_timeout = '10min';
DROP INDEX CONCURRENTLY IF EXISTS :"index";
