# SPDX-License-Identifier: MIT
"""Breakers and policies around any call: run() for plain functions, run_async() for coroutine functions too."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from . import codec, errors, given, native, waits
from .tables import config_of, json_of

T = TypeVar("T")
F = TypeVar("F")
_STATES = ("CLOSED", "OPEN", "HALF_OPEN", "FORCED_OPEN", "DISABLED", "METRICS_ONLY")
_OUTCOMES = {
    "success": native.SP_OUTCOME_SUCCESS,
    "failure": native.SP_OUTCOME_FAILURE,
    "ignored": native.SP_OUTCOME_IGNORED,
}


def _outcome(error: BaseException) -> int:
    """An exception that is not the library's is the dependency's failure; one that is no Exception is a cancellation."""
    if isinstance(error, errors.Error):
        return native.breaker_classify(getattr(native, error.code, native.SP_INTERNAL), error.server_code)
    return native.SP_OUTCOME_FAILURE if isinstance(error, Exception) else native.SP_OUTCOME_IGNORED


def _answers(error: Exception) -> bool:
    """Whether a fallback stands in: for a refusal or a failure, not for the caller's own errors."""
    return getattr(error, "code", "") in ("SP_OPEN", "SP_FULL") or _outcome(error) == native.SP_OUTCOME_FAILURE


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
            raise errors.make(native.SP_OPEN, f'circuit breaker "{self.name}" is open')
        start = time.monotonic_ns()
        try:
            yield
        except BaseException as error:
            native.breaker_record(self._native, permit, _outcome(error), time.monotonic_ns() - start)
            raise
        native.breaker_record(self._native, permit, native.SP_OUTCOME_SUCCESS, time.monotonic_ns() - start)

    def run(self, work: Callable[[], T], fallback: Callable[[Exception], F] | None = None) -> T | F:
        try:
            with self._permit():
                return work()
        except Exception as error:
            if fallback is None or not _answers(error):
                raise
            return fallback(error)

    async def run_async(
        self, work: Callable[[], Awaitable[T] | T], fallback: Callable[[Exception], Awaitable[F] | F] | None = None
    ) -> T | F:
        try:
            with self._permit():
                return await waits.settled(work())
        except Exception as error:
            if fallback is None or not _answers(error):
                raise
            return await waits.settled(fallback(error))

    def acquire(self) -> int:
        """A permit to make one call, which is recorded or released exactly once; 0: the breaker is open."""
        return native.breaker_acquire(self._native)

    def record(self, permit: int, outcome: str, elapsed: float = 0) -> None:
        """`outcome`: "success", "failure" or "ignored"; `elapsed` in seconds."""
        if outcome not in _OUTCOMES:
            raise errors.make(native.SP_INVALID, f"record(): unknown outcome {outcome}")
        elapsed = given.seconds("elapsed", elapsed)
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

    def _next(self, seen: int) -> tuple[Any, Callable[[Any, int], None]]:
        if self._client is None:
            raise errors.make(native.SP_INVALID, "the breaker belongs to no client")
        self._client._check()
        ctx = native.ctx_new(self._client._listening)
        return ctx, lambda queue, tag: native.breaker_watch(self._native, ctx, seen, queue, tag)

    def next_change(self, seen: int) -> dict[str, Any]:
        """Waits until the state has changed more than `seen` times: {"change", "state", "previous", "missed"}."""
        ctx, start = self._next(seen)
        return codec.decode(*self._client._call(start, ctx))

    async def next_change_async(self, seen: int) -> dict[str, Any]:
        ctx, start = self._next(seen)
        return codec.decode(*await self._client._submit(start, ctx))

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
        return error.retryable or error.code == "SP_TIMEOUT"
    return True


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
        fallback: Callable[[Exception], F] | None = None,
        *,
        retry: Callable[[Exception], bool] = _retryable,
    ) -> T | F:
        """`work(attempt)` until it succeeds or the policy gives up; then the last error, or `fallback(error)`."""
        try:
            with self._made() as (call, ctx):
                return self._attempts(call, ctx, work, retry)
        except Exception as error:
            if fallback is None or not _answers(error):
                raise
            return fallback(error)

    def _attempts(self, call: Any, ctx: Any, work: Callable[[Attempt], T], retry: Callable[[Exception], bool]) -> T:
        while True:
            self._client._check()
            self._client._call(lambda queue, tag: native.call_enter_async(call, queue, tag), ctx)
            try:
                value = work(self._attempt(call))
            except Exception as error:
                if not native.call_leave(call, _outcome(error), bool(retry(error))):
                    raise
            else:
                native.call_leave(call, native.SP_OUTCOME_SUCCESS, False)
                return value

    async def run_async(
        self,
        work: Callable[[Attempt], Awaitable[T] | T],
        fallback: Callable[[Exception], Awaitable[F] | F] | None = None,
        *,
        retry: Callable[[Exception], bool] = _retryable,
    ) -> T | F:
        """As run(); an attempt is cancelled at its deadline."""
        try:
            with self._made() as (call, ctx):
                return await self._attempts_async(call, ctx, work, retry)
        except Exception as error:
            if fallback is None or not _answers(error):
                raise
            return await waits.settled(fallback(error))

    async def _attempts_async(
        self, call: Any, ctx: Any, work: Callable[[Attempt], Awaitable[T] | T], retry: Callable[[Exception], bool]
    ) -> T:
        while True:
            self._client._check()
            await self._client._submit(lambda queue, tag: native.call_enter_async(call, queue, tag), ctx)
            try:
                attempt = self._attempt(call)
                value = await waits.within(attempt._remaining_ms, lambda: work(attempt))
            except Exception as error:
                if not native.call_leave(call, _outcome(error), bool(retry(error))):
                    raise
            else:
                native.call_leave(call, native.SP_OUTCOME_SUCCESS, False)
                return value

    @property
    def name(self) -> str:
        return native.policy_name(self._native)

    def stats(self) -> dict[str, int]:
        return json_of(native.policy_stats(self._native))
