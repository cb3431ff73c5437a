# SPDX-License-Identifier: MIT
"""Completion queues: one for each event loop, one for each thread that blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from . import native

Start = Callable[[Any, int], None]

_ENDS = (
    (native.session, native.session_release),
    (native.stream, native.stream_free),
    (native.copy, native.copy_free),
)

# A blocking wait comes up for air this often, so that Ctrl-C works.
_SLICE_MS = 100


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

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue = native.queue_new(0)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._tag = 0
        loop.add_reader(native.queue_fd(self._queue), self.drain)

    async def submit(self, start: Start, ctx: Any) -> Any:
        """`start(queue, tag)` submits. A cancelled task cancels the operation; its completion is dropped."""
        self._tag += 1
        start(self._queue, self._tag)
        future = self._loop.create_future()
        self._pending[self._tag] = future
        try:
            return await future
        except asyncio.CancelledError:
            native.ctx_cancel(ctx)
            # It may have been answered just before.
            if future.done() and not future.cancelled() and future.exception() is None:
                dispose(future.result())
            raise

    def drain(self) -> None:
        for tag, error, payload in native.queue_drain(self._queue):
            future = self._pending.pop(tag)
            if future.done():
                dispose(payload)
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(payload)

    def close(self) -> None:
        """After the client is gone: settles what is left, then frees the queue."""
        if self._loop.is_closed():
            return
        while self._pending and native.queue_pending(self._queue):
            self.drain()
        self._loop.remove_reader(native.queue_fd(self._queue))
        native.queue_free(self._queue)
        self._queue = None

    def __del__(self) -> None:
        # Its loop is gone: what still comes is dropped.
        if getattr(self, "_queue", None) is not None:
            native.queue_free(self._queue)


class ThreadQueue:
    """One blocking call at a time on one thread."""

    def __init__(self) -> None:
        self._queue = native.queue_new(0)
        self._tag = 0

    def call(self, start: Start, ctx: Any) -> Any:
        self._tag += 1
        start(self._queue, self._tag)
        try:
            return self._wait()
        except (KeyboardInterrupt, SystemExit):
            native.ctx_cancel(ctx)
            raise

    def _wait(self) -> Any:
        while True:
            for tag, error, payload in native.queue_await(self._queue, _SLICE_MS):
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
