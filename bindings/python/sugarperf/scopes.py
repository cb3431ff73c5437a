# SPDX-License-Identifier: MIT
"""What holds for all calls of a client inside a body, however deep: one context of the library's above them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

_scopes: ContextVar[tuple[tuple[int, Any], ...]] = ContextVar("sugarperf-scopes", default=())


def above(client: Any) -> Any:
    """The innermost context of this client's around the call; None: none."""
    for owner, ctx in reversed(_scopes.get()):
        if owner == id(client):
            return ctx
    return None


@contextmanager
def within(client: Any, ctx: Any) -> Iterator[None]:
    token = _scopes.set((*_scopes.get(), (id(client), ctx)))
    try:
        yield
    finally:
        # One that nobody ended is ended by the collector, in whatever context.
        with suppress(ValueError):
            _scopes.reset(token)
