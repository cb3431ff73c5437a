# SPDX-License-Identifier: MIT
"""DB-API 2.0 (PEP 249) over the pool: for tools and code that are written to it.

    with dbapi.connect("postgresql://…") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT title FROM contents WHERE id = %s", ["content-7"])
        print(cursor.fetchone())

A connection is a session: its own, or one that it borrows from a client's pool until it is closed: connect(client=client).
"""

from __future__ import annotations

from .connection import Connection, connect
from .cursor import Cursor
from .errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
)
from .types import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
)

apilevel = "2.0"
threadsafety = 2  # threads may share connections; their calls take turns
paramstyle = "pyformat"  # %s with a sequence, %(name)s with a mapping; %% where there are parameters

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]
