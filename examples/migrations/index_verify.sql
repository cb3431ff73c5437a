-- SPDX-License-Identifier: MIT
-- Fails unless :index is there, valid, and of :table.
\set ON_ERROR_STOP on
SELECT 1 / count(*) AS ok FROM pg_index
WHERE indexrelid = to_regclass(:'index') AND indrelid = to_regclass(:'table') AND indisvalid AND indisready \gset
