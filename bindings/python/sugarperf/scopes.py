# SPDX-License-Identifier: MIT
"""What holds for all calls of a client inside a body, however deep: one context of the library's above them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any


class _Scope:
    """What a task or a callback of the event loop copied of it may live on; the library's context ends with the body."""

    def __init__(self, client: Any, ctx: Any) -> None:
        self.owner = id(client)
        self.ctx = ctx


_scopes: ContextVar[tuple[_Scope, ...]] = ContextVar("sugarperf-scopes", default=())


def above(client: Any) -> Any:
    """The innermost context of this client's around the call; None: none."""
    for scope in reversed(_scopes.get()):
        if scope.owner == id(client) and scope.ctx is not None:
            return scope.ctx
    return None


@contextmanager
def within(client: Any, ctx: Any) -> Iterator[None]:
    scope = _Scope(client, ctx)
    del ctx
    token = _scopes.set((*_scopes.get(), scope))
    try:
        yield
    finally:
        scope.ctx = None
        # One that nobody ended is ended by the collector, in whatever context.
        with suppress(ValueError):
            _scopes.reset(token)
