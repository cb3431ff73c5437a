// SPDX-License-Identifier: MIT
import pg from './index.js';

export const {
    Client, DatabaseError, Pool, Query, Result, TypeOverrides, defaults, escapeIdentifier, escapeLiteral, types,
} = pg;
export default pg;
