# SPDX-License-Identifier: MIT
"""PEP 249's exceptions. Each carries what the library said: `code` ("SP_SQL"), `sqlstate`, `retryable`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .. import errors


class Warning(Exception):  # noqa: A001 (the name is PEP 249's)
    """Nothing raises it: PostgreSQL's warnings do not end a statement."""


class Error(Exception):
    """Whatever goes wrong."""

    code = ""
    sqlstate = ""
    retryable = False


class InterfaceError(Error):
    """The call is wrong, not the database: something is closed."""


class DatabaseError(Error):
    """What the database, or the way to it, answers."""


class DataError(DatabaseError):
    """A value that does not fit: out of range, a division by zero."""


class OperationalError(DatabaseError):
    """Nobody's fault at the keyboard: a time-out, a lost connection, a deadlock, no memory."""


class IntegrityError(DatabaseError):
    """A constraint."""


class InternalError(DatabaseError):
    """The state is wrong: a transaction that has failed, a cursor that is gone."""


class ProgrammingError(DatabaseError):
    """The statement is wrong: its syntax, a table that is not there, the number of parameters."""


class NotSupportedError(DatabaseError):
    """The database cannot do that."""


# By class of SQLSTATE, its first two characters.
_BY_CLASS: dict[type[Error], str] = {
    NotSupportedError: "0A",
    ProgrammingError: "20 21 3D 3F 42 44",
    DataError: "22",
    IntegrityError: "23",
    InternalError: "24 25 2B 2D 2F 38 39 3B F0 P0 XX",
    OperationalError: "08 26 27 28 34 40 53 54 55 57 58 HV",
}
_CLASSES = {name: made for made, names in _BY_CLASS.items() for name in names.split()}
_BY_CODE: dict[str, type[Error]] = {
    "SP_CLOSED": InterfaceError,
    "SP_FORKED": InterfaceError,
    "SP_INTERNAL": InternalError,
    "SP_INVALID": ProgrammingError,
    "SP_CONFIG": ProgrammingError,
    "SP_LIMIT": ProgrammingError,
    "SP_NOT_FOUND": ProgrammingError,
    "SP_SESSION": ProgrammingError,
    "SP_UNSUPPORTED": NotSupportedError,
}


def made(error: errors.Error) -> Error:
    if isinstance(error, errors.SqlError):
        kind = _CLASSES.get(error.sqlstate[:2], DatabaseError)
    else:
        kind = _BY_CODE.get(error.code, OperationalError)
    raised = kind(str(error))
    raised.code, raised.sqlstate, raised.retryable = error.code, error.server_code, error.retryable
    return raised


@contextmanager
def as_told() -> Iterator[None]:
    """The library's errors in the body are PEP 249's outside."""
    try:
        yield
    except errors.Error as error:
        raise made(error) from error
