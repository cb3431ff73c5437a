# SPDX-License-Identifier: MIT
"""Completion queues: one for each event loop, one for each thread that blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from . import native

# Submits; what it returns, where it does not take a context, cancels.
Start = Callable[[Any, int], Any]
_settle = native._native.queue_settle  # past SWIG's wrapper in Python

_ENDS = (
    (native.session, native.session_release),
    (native.stream, native.stream_free),
    (native.copy, native.copy_free),
    (native.lookups, native.lookups_free),
    (native.turn, lambda turn: native.turn_end(turn, False)),
)

# A blocking wait comes up for air this often, so that Ctrl-C works.
_SLICE_MS = 100


def cancel(ctx: Any, flight: Any) -> None:
    if ctx is not None:
        native.ctx_cancel(ctx)
    else:
        native.flight_cancel(flight)


def dispose(payload: Any) -> None:
    """Gives back what a completion carried when nobody wants it any more."""
    for kind, end in _ENDS:
        if isinstance(payload, kind):
            end(payload)
            return
    if isinstance(payload, tuple) and len(payload) == 3 and payload[2] is not None:
        native.lease_release(payload[2])


class LoopQueue:
    """Completions as futures of one event loop. Belongs to the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, types: dict[int, Any] | None = None) -> None:
        self.loop = loop
        self._types = types
        self._queue = native.queue_new(0)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._tag = 0
        loop.add_reader(native.queue_fd(self._queue), self.drain)

    async def submit(self, start: Start, ctx: Any = None) -> Any:
        """`start(queue, tag)` submits. A cancelled task cancels the operation; its completion is dropped."""
        self._tag = tag = self._tag + 1
        flight = start(self._queue, tag)
        self._pending[tag] = future = self.loop.create_future()
        try:
            return await future
        except asyncio.CancelledError:
            cancel(ctx, flight)
            # It may have been answered just before.
            if future.done() and not future.cancelled() and future.exception() is None:
                dispose(future.result())
            raise

    def drain(self) -> None:
        _settle(self._queue, self._pending, self._types)

    def close(self) -> None:
        """After the client is gone: settles what is left, then frees the queue."""
        if self.loop.is_closed():
            return
        while self._pending and native.queue_pending(self._queue):
            self.drain()
        self.loop.remove_reader(native.queue_fd(self._queue))
        native.queue_free(self._queue)
        self._queue = None

    def __del__(self) -> None:
        # Its loop is gone: what still comes is dropped.
        if getattr(self, "_queue", None) is not None:
            native.queue_free(self._queue)


class ThreadQueue:
    """One blocking call at a time on one thread. `tuples`: rows are tuples rather than dicts."""

    def __init__(self, types: dict[int, Any] | None = None, tuples: bool = False) -> None:
        self._types = types
        self._tuples = tuples
        self._queue = native.queue_new(0)
        self._tag = 0

    def call(self, start: Start, ctx: Any = None) -> Any:
        self._tag += 1
        flight = start(self._queue, self._tag)
        try:
            return self._wait()
        except (KeyboardInterrupt, SystemExit):
            cancel(ctx, flight)
            raise

    def _wait(self) -> Any:
        while True:
            for tag, error, payload in native.queue_await(self._queue, _SLICE_MS, self._types, self._tuples):
                if tag != self._tag:
                    # Left over from a call that was interrupted.
                    dispose(payload)
                elif error is not None:
                    raise error
                else:
                    return payload

    def __del__(self) -> None:
        if getattr(self, "_queue", None) is not None:
            native.queue_free(self._queue)
