# SPDX-License-Identifier: MIT
"""Breakers and policies around any call: run() for plain functions, run_async() for coroutine functions too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, TypeVar, overload

from . import codec, errors, given, native, queues, waits
from .tables import config_of, json_of

T = TypeVar("T")
F = TypeVar("F")
Retry = Callable[[Exception], bool]
_STATES = ("CLOSED", "OPEN", "HALF_OPEN", "FORCED_OPEN", "DISABLED", "METRICS_ONLY")
_OUTCOMES = {
    "success": native.SP_OUTCOME_SUCCESS,
    "failure": native.SP_OUTCOME_FAILURE,
    "ignored": native.SP_OUTCOME_IGNORED,
}


# Seconds that fit into 63 bits of nanoseconds.
_LONGEST = 9e9
# No fallback: None is a value like others.
_NOTHING: Any = object()


def _cancelled(error: BaseException) -> bool:
    """By the caller: asyncio's is no Exception, nor are Ctrl-C and the interpreter's end."""
    return not isinstance(error, Exception) or isinstance(error, CancelledError)


def _status(error: errors.Error) -> int:
    return getattr(native, error.code, native.SP_INTERNAL)


def _outcome(error: BaseException) -> int:
    """An exception that is not the library's is the dependency's failure, and so is one that raises when it is looked at."""
    try:
        if isinstance(error, errors.Error):
            return native.breaker_classify(_status(error), error.server_code)
        own = _cancelled(error) or isinstance(error, waits.Unawaited)
    except Exception:
        own = False
    return native.SP_OUTCOME_IGNORED if own else native.SP_OUTCOME_FAILURE


def _answers(error: Exception) -> bool:
    """Whether a fallback stands in: for a refusal or a failure, not for the caller's own errors."""
    try:
        if isinstance(error, errors.Error):
            return native.breaker_falls_back(_status(error), error.server_code)
    except Exception:
        return True
    return _outcome(error) == native.SP_OUTCOME_FAILURE


def _answer(fallback: Any, error: Exception) -> Any:
    """`fallback` is a function of the error, or a value."""
    return fallback(error) if callable(fallback) else fallback


@contextmanager
def _after(failed: list[Exception]) -> Iterator[None]:
    """A refusal tells which attempt's error it came after."""
    try:
        yield
    except errors.Error as refused:
        if failed:
            refused.__cause__ = failed[0]
        raise
    finally:
        failed.clear()


class Clock:
    """A monotonic clock that a test moves by hand."""

    def __init__(self) -> None:
        self._native = native.clock_new()

    def advance(self, ms: int) -> None:
        native.clock_advance(self._native, ms)


class Breaker:
    """Circuit breaker around any call. Breaker.create() makes one without a client."""

    def __init__(self, handle: Any, client: Any = None, clock: Clock | None = None) -> None:
        self._native = handle
        self._client = client
        self._clock = clock  # lives as long

    @classmethod
    def create(
        cls, settings: Mapping[str, Any] | None = None, *, name: str | None = None, clock: Clock | None = None
    ) -> Breaker:
        """`settings` are the library's configuration names; `name` selects breaker.<name>.…"""
        if clock is not None and not isinstance(clock, Clock):
            raise TypeError(f"clock must be a Clock, not {type(clock).__name__}")
        ticking = clock._native if clock is not None else None
        return cls(native.breaker_new(config_of(settings or {}), name, ticking), clock=clock)

    @contextmanager
    def _permit(self) -> Iterator[None]:
        permit = native.breaker_acquire(self._native)
        if permit == 0:
            raise errors.make(native.SP_OPEN, f'circuit breaker "{self.name}" is open', retryable=True)
        start = time.monotonic_ns()
        try:
            yield
        except BaseException as error:
            native.breaker_record(self._native, permit, _outcome(error), time.monotonic_ns() - start)
            raise
        native.breaker_record(self._native, permit, native.SP_OUTCOME_SUCCESS, time.monotonic_ns() - start)

    def run(self, work: Callable[[], T], fallback: Callable[[Exception], F] | F = _NOTHING) -> T | F:
        """`work()` while the breaker lets calls through, else OpenError.

        `fallback`, a value or a function of the error, answers instead of every failure and refusal; errors that are the
        caller's own (a unique violation, a cancellation) pass.
        """
        given.function("work", work)
        try:
            with self._permit():
                return waits.plain(work())
        except Exception as error:
            if fallback is _NOTHING or not _answers(error):
                raise
            return waits.plain(_answer(fallback, error))

    @overload
    async def run_async(self, work: Callable[[], Awaitable[T]]) -> T: ...
    @overload
    async def run_async(self, work: Callable[[], T]) -> T: ...
    @overload
    async def run_async(self, work: Callable[[], Awaitable[T]], fallback: Callable[[Exception], Awaitable[F]]) -> T | F: ...
    @overload
    async def run_async(self, work: Callable[[], Awaitable[T]], fallback: Callable[[Exception], F]) -> T | F: ...
    @overload
    async def run_async(self, work: Callable[[], Awaitable[T]], fallback: F) -> T | F: ...
    @overload
    async def run_async(self, work: Callable[[], T], fallback: Callable[[Exception], Awaitable[F]]) -> T | F: ...
    @overload
    async def run_async(self, work: Callable[[], T], fallback: Callable[[Exception], F]) -> T | F: ...
    @overload
    async def run_async(self, work: Callable[[], T], fallback: F) -> T | F: ...

    async def run_async(self, work: Callable[[], Any], fallback: Any = _NOTHING) -> Any:
        given.function("work", work)
        try:
            with self._permit():
                return await waits.settled(work())
        except Exception as error:
            if fallback is _NOTHING or not _answers(error):
                raise
            return await waits.settled(_answer(fallback, error))

    def acquire(self) -> int:
        """A permit to make one call, which is recorded or released exactly once; 0: the breaker is open."""
        return native.breaker_acquire(self._native)

    def record(self, permit: int, outcome: str, elapsed: float = 0) -> None:
        """`outcome`: "success", "failure" or "ignored"; `elapsed` in seconds."""
        if outcome not in _OUTCOMES:
            raise errors.make(native.SP_INVALID, f"record(): unknown outcome {outcome}")
        elapsed = min(given.seconds("elapsed", elapsed), _LONGEST)
        native.breaker_record(self._native, permit, _OUTCOMES[outcome], round(elapsed * 1e9))

    def release(self, permit: int) -> None:
        """For calls that were cancelled or never made."""
        native.breaker_release(self._native, permit)

    def force(self, state: str) -> None:
        """Puts it into a state by hand."""
        if state not in _STATES:
            raise errors.make(native.SP_INVALID, f"force(): unknown state {state}")
        native.breaker_force(self._native, _STATES.index(state))

    def reset(self) -> None:
        """CLOSED (or the state of breaker.mode), with nothing held against it."""
        native.breaker_reset(self._native)

    def _next(self, seen: int) -> tuple[queues.Start, Any]:
        if self._client is not None:
            self._client._check()
        ctx = native.ctx_new(self._client._listening if self._client is not None else None)
        return lambda queue, tag: native.breaker_watch(self._native, ctx, seen, queue, tag), ctx

    @contextmanager
    def _ends_with_client(self) -> Iterator[None]:
        """What cancels a wait for changes is the client's end alone."""
        try:
            yield
        except errors.Error as error:
            if error.code != "SP_CANCELLED":
                raise
            raise errors.make(native.SP_CLOSED, "the client is closed") from None

    def next_change(self, seen: int) -> dict[str, Any]:
        """Waits until the state has changed more than `seen` times: {"change", "state", "previous", "missed"}.

        ClosedError when the client ends.
        """
        with self._ends_with_client():
            return codec.decode(*queues.ThreadQueue().call(*self._next(seen)))

    async def next_change_async(self, seen: int) -> dict[str, Any]:
        queue = queues.LoopQueue(asyncio.get_running_loop())
        try:
            with self._ends_with_client():
                return codec.decode(*await queue.submit(*self._next(seen)))
        finally:
            queue.close()

    @property
    def changes(self) -> int:
        """How often the state has changed."""
        return native.breaker_changes(self._native)

    @property
    def name(self) -> str:
        return native.breaker_name(self._native)

    @property
    def state(self) -> str:
        """CLOSED, OPEN, HALF_OPEN, FORCED_OPEN, DISABLED or METRICS_ONLY."""
        return _STATES[native.breaker_state(self._native)]

    @property
    def failures(self) -> int:
        return native.breaker_failures(self._native)

    @property
    def in_flight(self) -> int:
        """Permits of the present state whose result is still to come."""
        return native.breaker_in_flight(self._native)

    @property
    def next_attempt(self) -> int:
        """Milliseconds until a probe is let through."""
        return native.breaker_next_attempt(self._native)

    def report(self) -> dict[str, Any]:
        return json_of(native.breaker_report(self._native))

    def stats(self) -> dict[str, Any]:
        """report(), and all counts and rates."""
        return json_of(native.breaker_stats(self._native))

    def __repr__(self) -> str:
        return f"<sugarperf.Breaker {self.name} {self.state}>"


class Attempt:
    """What work runs under: its number, from 1 on, and the seconds that it has (None: no deadline)."""

    def __init__(self, number: int, remaining_ms: int) -> None:
        self.number = number
        self._remaining_ms = remaining_ms
        self.remaining = remaining_ms / 1000 if remaining_ms >= 0 else None


def _retryable(error: Exception) -> bool:
    if isinstance(error, errors.Error):
        # What a statement of which the time was over may have done is its own to tell.
        return error.retryable or error._cut_off
    return not _cancelled(error)


def _leave(call: Any, error: Exception, retry: Callable[[Exception], bool]) -> bool:
    """The attempt is over, also where asking whether there may be another one raises. True: there is another one."""
    again = False
    try:
        again = not isinstance(error, waits.Unawaited) and bool(retry(error))
    finally:
        again = native.call_leave(call, _outcome(error), again)
    return again


class Policy:
    """Deadline, retries, breaker, rate and concurrency around any call, as policy.<name>.… says."""

    def __init__(self, handle: Any, client: Any) -> None:
        self._native = handle
        self._client = client

    @contextmanager
    def _made(self) -> Iterator[tuple[Any, Any]]:
        self._client._check()
        ctx = native.ctx_new(self._client._root)
        call = native.call_new(self._native, ctx)
        try:
            yield call, ctx
        finally:
            native.call_free(call)

    @staticmethod
    def _attempt(call: Any) -> Attempt:
        return Attempt(native.call_attempts(call), native.ctx_remaining(native.call_ctx(call)))

    def run(
        self,
        work: Callable[[Attempt], T],
        fallback: Callable[[Exception], F] | F = _NOTHING,
        *,
        retry: Callable[[Exception], bool] = _retryable,
    ) -> T | F:
        """`work(attempt)` until it succeeds or the policy gives up; then the last error.

        `fallback`, a value or a function of the error, answers instead of every failure and refusal. `retry`: whether an
        error may be retried; else those that say so, and all that are not the library's. A refusal after an attempt has
        that attempt's error as its __cause__.
        """
        given.function("work", work)
        given.function("retry", retry)
        given.face(self._client, "__enter__", "run() waits: with an AsyncClient await run_async()")
        try:
            with self._made() as (call, ctx):
                return self._attempts(call, ctx, work, retry)
        except Exception as error:
            if fallback is _NOTHING or not _answers(error):
                raise
            return waits.plain(_answer(fallback, error))

    def _attempts(self, call: Any, ctx: Any, work: Callable[[Attempt], T], retry: Callable[[Exception], bool]) -> T:
        failed: list[Exception] = []
        while True:
            with _after(failed):
                self._client._call(lambda queue, tag: native.call_enter_async(call, queue, tag), ctx)
            try:
                value = waits.plain(work(self._attempt(call)))
            except Exception as error:
                if not _leave(call, error, retry):
                    raise
                failed.append(error)
            else:
                native.call_leave(call, native.SP_OUTCOME_SUCCESS, False)
                return value

    @overload
    async def run_async(self, work: Callable[[Attempt], Awaitable[T]], *, retry: Retry = ...) -> T: ...
    @overload
    async def run_async(self, work: Callable[[Attempt], T], *, retry: Retry = ...) -> T: ...
    @overload
    async def run_async(
        self, work: Callable[[Attempt], Awaitable[T]], fallback: Callable[[Exception], Awaitable[F]], *, retry: Retry = ...
    ) -> T | F: ...
    @overload
    async def run_async(
        self, work: Callable[[Attempt], Awaitable[T]], fallback: Callable[[Exception], F], *, retry: Retry = ...
    ) -> T | F: ...
    @overload
    async def run_async(
        self, work: Callable[[Attempt], Awaitable[T]], fallback: F, *, retry: Retry = ...
    ) -> T | F: ...
    @overload
    async def run_async(
        self, work: Callable[[Attempt], T], fallback: Callable[[Exception], Awaitable[F]], *, retry: Retry = ...
    ) -> T | F: ...
    @overload
    async def run_async(
        self, work: Callable[[Attempt], T], fallback: Callable[[Exception], F], *, retry: Retry = ...
    ) -> T | F: ...
    @overload
    async def run_async(self, work: Callable[[Attempt], T], fallback: F, *, retry: Retry = ...) -> T | F: ...

    async def run_async(
        self, work: Callable[[Attempt], Any], fallback: Any = _NOTHING, *, retry: Callable[[Exception], bool] = _retryable
    ) -> Any:
        """As run(); an attempt is cancelled at its deadline."""
        given.function("work", work)
        given.function("retry", retry)
        given.face(self._client, "__aenter__", "run_async() belongs to an AsyncClient: with a Client use run()")
        try:
            with self._made() as (call, ctx):
                return await self._attempts_async(call, ctx, work, retry)
        except Exception as error:
            if fallback is _NOTHING or not _answers(error):
                raise
            return await waits.settled(_answer(fallback, error))

    async def _attempts_async(
        self, call: Any, ctx: Any, work: Callable[[Attempt], Awaitable[T] | T], retry: Callable[[Exception], bool]
    ) -> T:
        failed: list[Exception] = []
        while True:
            with _after(failed):
                await self._client._call(lambda queue, tag: native.call_enter_async(call, queue, tag), ctx)
            try:
                attempt = self._attempt(call)
                value = await waits.within(attempt._remaining_ms, lambda: work(attempt))
            except Exception as error:
                if not _leave(call, error, retry):
                    raise
                failed.append(error)
            else:
                native.call_leave(call, native.SP_OUTCOME_SUCCESS, False)
                return value

    @property
    def name(self) -> str:
        return native.policy_name(self._native)

    def stats(self) -> dict[str, int]:
        return json_of(native.policy_stats(self._native))
