# SPDX-License-Identifier: MIT
"""Awaiting what a caller's own function returns: coroutine functions and plain ones are both welcome."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

from . import errors, native


async def settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


class Unawaited(TypeError):
    """What the caller did wrong, not what was called."""


def plain(value: Any, says: str = "run() takes plain functions: await run_async() with coroutine functions") -> Any:
    """A blocking call has nobody who would await what it answers."""
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise Unawaited(says)
    return value


def worked(value: Any) -> Any:
    """What settled() is in the blocking face."""
    return plain(value, "work must be a plain function: coroutine functions belong to AsyncClient")


def items(source: Any) -> Any:
    """What each() is in the blocking face."""
    return source


async def each(source: Any) -> AsyncIterator[Any]:
    """Of an iterable or an asynchronous one."""
    if isinstance(source, AsyncIterable):
        async for item in source:
            yield item
    else:
        for item in source:
            yield item


async def within(remaining_ms: int, work: Callable[[], Any]) -> Any:
    """`work()`, cancelled when its time is over; a negative time has no end."""
    limit = asyncio.timeout(remaining_ms / 1000 if remaining_ms >= 0 else None)
    own = None
    try:
        async with limit:
            try:
                return await settled(work())
            except TimeoutError as error:
                own = error
                raise
    except TimeoutError as error:
        if error is own:
            raise
        late = errors.make(native.SP_TIMEOUT, "the deadline passed")
        late._cut_off = True
        raise late from error
