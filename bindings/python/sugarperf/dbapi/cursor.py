# SPDX-License-Identifier: MIT
"""A cursor: the result of the last statement, which it has as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import rows, steps
from . import format
from .errors import InterfaceError, ProgrammingError

if TYPE_CHECKING:
    from .connection import Connection

Parameters = Sequence[Any] | Mapping[str, Any] | None
Row = tuple[Any, ...]
Column = tuple[str, int, None, None, None, None, None]


def _count(result: rows.Rows) -> int:
    """As the command tag ends; -1 where it ends in no number."""
    last = result.command.rpartition(" ")[2]
    return int(last) if last.isdecimal() else -1


class Cursor:
    """`connection.cursor()`. Its statements belong to the connection's transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.arraysize = 1
        self.rowcount = -1
        self.description: list[Column] | None = None
        self._rows: list[Row] = []
        self._at = 0
        self._closed = False

    def _check(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed")
        self.connection._check()

    def _forget(self) -> None:
        self.rowcount, self.description, self._rows, self._at = -1, None, [], 0

    def _have(self, fields: list[tuple[str, int]], found: list[Row], count: int) -> None:
        self.rowcount, self._rows = count, found
        if fields:
            self.description = [(name, oid, None, None, None, None, None) for name, oid in fields]

    def execute(self, operation: str, parameters: Parameters = None) -> Cursor:
        """Runs one statement, and begins a transaction where none is open, unless the connection is in autocommit."""
        self._check()
        self._forget()
        sql, values = format.statement(operation, parameters), format.values(operation, parameters)
        result = self.connection._run(lambda seat, call: call(seat.launch(sql, values, None)), sql)
        self._have(result.fields, result, _count(result))
        return self

    def executemany(self, operation: str, seq_of_parameters: Iterable[Parameters]) -> Cursor:
        """The statement once for each, in one round trip, all of them or none. `rowcount` is of all; so are the rows, if any."""
        self._check()
        self._forget()
        sets = [format.values(operation, parameters) for parameters in seq_of_parameters]
        self.rowcount = 0
        if not sets:
            return self
        sql = format.statement(operation, ())
        done: rows.Sets = self.connection._run(
            lambda seat, call: steps.play(steps.batch(seat, sql, sets, None), call), sql
        )
        self._have(done[0].fields, [row for each in done for row in each], sum(max(_count(each), 0) for each in done))
        return self

    def _wanted(self, count: int) -> list[Row]:
        self._check()
        if self.description is None:
            raise ProgrammingError("there is no result to fetch from: execute a statement that returns rows")
        at, self._at = self._at, min(self._at + count, len(self._rows))
        return self._rows[at : self._at]

    def fetchone(self) -> Row | None:
        found = self._wanted(1)
        return found[0] if found else None

    def fetchmany(self, size: int | None = None) -> list[Row]:
        return self._wanted(self.arraysize if size is None else size)

    def fetchall(self) -> list[Row]:
        return self._wanted(len(self._rows))

    @property
    def rownumber(self) -> int | None:
        """Of the row that is fetched next, from 0 on."""
        return None if self.description is None else self._at

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        """There is nothing to prepare for."""
        self._check()

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """There is nothing to prepare for."""
        self._check()

    def close(self) -> None:
        self._forget()
        self._closed = True

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<sugarperf.dbapi.Cursor {'closed' if self._closed else 'open'}>"
