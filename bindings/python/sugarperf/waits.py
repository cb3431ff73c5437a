# SPDX-License-Identifier: MIT
"""Awaiting what a caller's own function returns: coroutine functions and plain ones are both welcome."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from . import errors, native


async def settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def within(remaining_ms: int, work: Callable[[], Any]) -> Any:
    """`work()`, cancelled when its time is over; a negative time has no end."""
    limit = asyncio.timeout(remaining_ms / 1000 if remaining_ms >= 0 else None)
    try:
        async with limit:
            return await settled(work())
    except TimeoutError:
        if not limit.expired():
            raise
        raise errors.make(native.SP_TIMEOUT, "the deadline passed") from None
