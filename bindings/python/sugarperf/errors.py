# SPDX-License-Identifier: MIT
"""One class a status: TimeoutError has code "SP_TIMEOUT". Those of the servers carry their own code as well."""

from __future__ import annotations

import builtins
import re
from typing import TYPE_CHECKING, Any

from . import native


class Error(Exception):
    """What the library answers: a one-line message, `code` ("SP_…") and whether a retry is safe and may help."""

    code = "SP_INTERNAL"
    _cut_off = False  # the work's time was over, whatever it was: it did not say so itself

    def __init__(self, message: str, server_code: str = "", retryable: bool = False) -> None:
        super().__init__(message)
        self.server_code = server_code
        self.retryable = retryable


class SqlError(Error):
    """PostgreSQL answered an error."""

    code = "SP_SQL"

    @property
    def sqlstate(self) -> str:
        return self.server_code


class RedisError(Error):
    """Redis answered an error."""

    code = "SP_REDIS"

    @property
    def prefix(self) -> str:
        return self.server_code


# Made below, one a status; for who checks types.
if TYPE_CHECKING:

    class AuthError(Error): ...

    class CancelledError(Error): ...

    class ClosedError(Error): ...

    class ConfigError(Error): ...

    class ForkedError(Error): ...

    class FullError(Error): ...

    class InternalError(Error): ...

    class InvalidError(Error): ...

    class LeaseLostError(Error): ...

    class LimitError(Error): ...

    class LostError(Error): ...

    class NoMemoryError(Error): ...

    class NotFoundError(Error, LookupError): ...

    class OpenError(Error): ...

    class ProtocolError(Error): ...

    class SessionError(Error): ...

    class TimeoutError(Error, builtins.TimeoutError): ...

    class UnavailableError(Error): ...

    class UnsupportedError(Error): ...


_BASES: dict[str, tuple[type, ...]] = {
    "SP_TIMEOUT": (Error, builtins.TimeoutError),
    "SP_NOT_FOUND": (Error, LookupError),
}
_NAMES = {"SP_NOMEM": "NoMemoryError"}
_BY_CODE: dict[str, type[Error]] = {"SP_SQL": SqlError, "SP_REDIS": RedisError}
_BY_STATUS: dict[int, type[Error]] = {}


def _class_of(status: int, code: str) -> type[Error]:
    if code not in _BY_CODE:
        name = _NAMES.get(code) or "".join(part.capitalize() for part in code[3:].split("_")) + "Error"
        text = native.status_text(status)
        _BY_CODE[code] = type(name, _BASES.get(code, (Error,)), {"code": code, "__doc__": text, "__module__": __name__})
    return _BY_CODE[code]


def _declare() -> dict[str, Any]:
    status = -1
    while (code := native.status_name(status)) != "SP_UNKNOWN":
        _BY_STATUS[status] = _class_of(status, code)
        status -= 1
    return {made.__name__: made for made in _BY_CODE.values()}


# C's calls, where what the library says names one, and what they are here.
_CALLS = {
    "sp_pool_acquire()": "acquire()",
    "sp_pool_batch()": "batch()",
    "sp_pool_query()": "query()",
    "sp_session_copy()": "copy_from() or copy_to()",
    "sp_cache_declare()": "cache.template()",
    "sp_cache_delete()": "cache.delete()",
    "sp_invalidate_row()": "rules.invalidate()",
    "sp_row_was()": "was",
    "sp_template_pattern()": "the option patterns",
}


def _worded(kind: type[Error], message: str) -> str:
    """What the server says is its own: a function there may have any name."""
    if kind is SqlError or "sp_" not in message:
        return message
    return re.sub(r"sp_[a-z_]+\(\)", lambda name: _CALLS.get(name[0], name[0]), message)


def make(status: int, message: str, server_code: str = "", retryable: bool = False) -> Error:
    """The exception of a status (the native module calls it)."""
    kind = _BY_STATUS.get(status, Error)
    return kind(_worded(kind, message), server_code, retryable)


globals().update(_declare())
native.set_raise(make)
