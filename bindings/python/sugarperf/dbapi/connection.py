# SPDX-License-Identifier: MIT
"""A connection: a session of a pool, with the transaction that PEP 249 has open on it."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from .. import native, rows, steps
from ..client import Client
from ..queues import ThreadQueue
from . import errors, types
from .cursor import Cursor, Parameters

_COMMENT = re.compile(r"--[^\n]*|/\*(?:(?!/\*|\*/).)*\*/", re.DOTALL)
# ROLLBACK TO has the tag of ROLLBACK, and ends nothing; AND CHAIN begins the next transaction.
_GOES_ON = re.compile(r"\bto\b|\band\s+chain\b", re.IGNORECASE)


def _ends(command: str, sql: str) -> bool:
    """Whether no transaction is open any more."""
    if command not in ("COMMIT", "ROLLBACK"):
        return command == "PREPARE TRANSACTION"
    count = 1
    while count:
        sql, count = _COMMENT.subn(" ", sql)
    return not _GOES_ON.search(sql)


class Connection:
    """See connect(). `with connection:` commits at its end, or takes back when the body raises, and closes."""

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError

    def __init__(self, client: Client, pool: str | None, autocommit: bool, own: bool) -> None:
        self._seat: steps.Seat | None = None
        self._client = client
        self._own = own
        self._autocommit = autocommit
        self._open = False  # a transaction is
        self._lock = threading.RLock()
        parsers: dict[int, rows.Parser] = {**types.OWN, **(client.types or {})}
        self._queue = ThreadQueue(parsers, tuples=True)
        with errors.as_told():
            whole = client.pool(pool)._seat
            self._seat = self._play(steps.acquire(whole, steps.transaction_context(whole, None)))

    def _play(self, script: steps.Steps[Any]) -> Any:
        return steps.play(script, self._queue.call)

    def _check(self) -> steps.Seat:
        if self._seat is None:
            raise errors.InterfaceError("the connection is closed")
        return self._seat

    def _run(self, work: Callable[[steps.Seat, Callable[..., Any]], Any], sql: str) -> Any:
        """`work` in the transaction, which it may begin or end itself by its text."""
        with self._lock, errors.as_told():
            seat = self._check()
            if not self._autocommit and not self._open:
                self._play(steps.begin(seat, {"isolation": None, "read_only": None, "deferrable": None}))
                self._open = True
            result = work(seat, self._queue.call)
            command = getattr(result, "command", "")
            if command in ("BEGIN", "START TRANSACTION"):
                self._open = True
            elif _ends(command, sql):
                self._open = False
            return result

    def _finish(self, end: Callable[..., None]) -> None:
        with self._lock, errors.as_told():
            seat = self._check()
            if self._open:
                self._open = False
                self._play(steps.simple(seat, end))

    def commit(self) -> None:
        """InternalError (25P02) where a statement of the transaction had failed: it was taken back."""
        self._finish(native.session_commit_async)

    def rollback(self) -> None:
        self._finish(native.session_rollback_async)

    def cursor(self) -> Cursor:
        self._check()
        return Cursor(self)

    def execute(self, operation: str, parameters: Parameters = None) -> Cursor:
        """A cursor's execute(); the cursor."""
        return self.cursor().execute(operation, parameters)

    @property
    def autocommit(self) -> bool:
        """Each statement is a transaction of its own. Cannot be changed while one is open."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, on: bool) -> None:
        with self._lock:
            self._check()
            if self._open:
                raise errors.ProgrammingError("a transaction is open: commit() or rollback() first")
            self._autocommit = bool(on)

    @property
    def closed(self) -> bool:
        return self._seat is None

    def close(self) -> None:
        """What is open is taken back; a borrowed session goes back to its pool. May be called again."""
        with self._lock:
            seat, self._seat = self._seat, None
            if seat is not None:
                seat.release()
            if self._own:
                self._client.close()

    def __enter__(self) -> Connection:
        self._check()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self.close()

    def __del__(self) -> None:
        if getattr(self, "_seat", None) is not None:
            warnings.warn(f"unclosed {self!r}: close it, or use it in a with statement", ResourceWarning, 2, source=self)
            self.close()

    def __repr__(self) -> str:
        return f"<sugarperf.dbapi.Connection {'closed' if self.closed else 'open'}>"


def connect(
    dsn: str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    client: Client | None = None,
    pool: str | None = None,
    autocommit: bool = False,
    types: rows.Types | None = None,
) -> Connection:
    """A connection to `dsn` (None: DATABASE_URL), with `settings` of the library's configuration and one's own parsers by OID.

    With `client` it borrows a session of that client's pool instead, and gives it back when it is closed.
    """
    if client is not None:
        if dsn is not None or settings is not None or types is not None:
            raise errors.InterfaceError("a client has its own settings: connect(client=client) takes no others")
        return Connection(client, pool, autocommit, own=False)
    given = {"pool.max": 1, "pool.min": 0, **({"pool.url": dsn} if dsn is not None else {}), **(settings or {})}
    with errors.as_told():
        made = Client(given, env=dsn is None, types=types)
    try:
        return Connection(made, pool, autocommit, own=True)
    except BaseException:
        made.close()
        raise
