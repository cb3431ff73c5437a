# SPDX-License-Identifier: MIT
"""What holds for all calls of a client inside a body, however deep: one context of the library's above them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any


class _Scope:
    """What a task or a callback of the event loop copied of it may live on; the library's context ends with the body."""

    def __init__(self, client: Any, ctx: Any, choosy: bool) -> None:
        self.owner = id(client)
        self.ctx = ctx
        self.choosy = choosy


_scopes: ContextVar[tuple[_Scope, ...]] = ContextVar("sugarperf-scopes", default=())


def _innermost(client: Any) -> _Scope | None:
    for scope in reversed(_scopes.get()):
        if scope.owner == id(client) and scope.ctx is not None:
            return scope
    return None


def above(client: Any) -> Any:
    """The innermost context of this client's around the call; None: none."""
    scope = _innermost(client)
    return scope.ctx if scope is not None else None


def choosy(client: Any) -> bool:
    """Whether a scope around the call says what it may take from the cache: then the library is asked for all."""
    scope = _innermost(client)
    return scope is not None and scope.choosy


@contextmanager
def within(client: Any, ctx: Any, says: bool = False) -> Iterator[None]:
    """`says`: what may be taken from the cache."""
    scope = _Scope(client, ctx, says or choosy(client))
    del ctx
    token = _scopes.set((*_scopes.get(), scope))
    try:
        yield
    finally:
        scope.ctx = None
        # One that nobody ended is ended by the collector, in whatever context.
        with suppress(ValueError):
            _scopes.reset(token)
