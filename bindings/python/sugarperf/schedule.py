# SPDX-License-Identifier: MIT
"""Work that one process of a fleet does at its time.

    hourly = client.schedule("scores", "hourly")
    while True:
        async with hourly.turn():
            await update_scores()

Each process waits; one gets the turn. Where the body raises another process may have it, at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from . import native, steps


class Base:
    def __init__(self, client: Any, name: str, when: str) -> None:
        client._check()
        self._client = client
        self._native = client._held.add(native.schedule_new(client._cache, name, when), native.schedule_free)

    def _wait(self) -> steps.Steps[Any]:
        """Until the turn is ours, or the client ends (ClosedError)."""
        client = self._client
        client._check()
        ctx = native.ctx_new(client._listening)
        made = yield ctx, lambda queue, tag: native.schedule_wait_async(self._native, ctx, queue, tag)
        return client._held.add(made, lambda turn: native.turn_end(turn, False))

    def _end(self, turn: Any, done: bool) -> None:
        if self._client._held.forget(turn):
            native.turn_end(turn, done)


class Schedule(Base):
    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for the turn; the body is the work. Ends with ClosedError when the client does."""
        turn = self._client._play(self._wait())
        try:
            yield
        except BaseException:
            self._end(turn, False)
            raise
        self._end(turn, True)


class AsyncSchedule(Base):
    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for the turn; the body is the work. Ends with ClosedError when the client does."""
        turn = await self._client._play(self._wait())
        try:
            yield
        except BaseException:
            self._end(turn, False)
            raise
        self._end(turn, True)
