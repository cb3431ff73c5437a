# SPDX-License-Identifier: MIT
"""What both faces share: configuration, breaker, profiler and the reports of a client."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from . import errors, native, params

T = TypeVar("T")
_MS = 1e6


def config_of(settings: Mapping[str, Any], env: bool) -> Any:
    config = native.config_new()
    for name, value in settings.items():
        if value is not None:
            native.config_set(config, name, str(value))
    if env:
        native.config_env(config)
    return config


def json_of(value: Any) -> Any:
    return json.loads(native.value_data(value))


def targets_of(keys: Iterable[Any], tags: Iterable[Any], patterns: Iterable[Any]) -> Any:
    """Patterns are texts as declared, or (pattern, values) with values for their {names}."""
    targets = native.targets_new()
    for key in keys:
        native.targets_key(targets, key)
    for tag in tags:
        native.targets_tag(targets, tag)
    for item in patterns:
        pattern, values = (item, ()) if isinstance(item, str) else item
        native.targets_pattern(targets, pattern, params.load(values))
    return targets


def _outcome(error: BaseException) -> int:
    """An exception that is not the library's is the dependency's failure; one that is no Exception is a cancellation."""
    if isinstance(error, errors.Error):
        return native.breaker_classify(getattr(native, error.code, native.SP_INTERNAL), error.server_code)
    return native.SP_OUTCOME_FAILURE if isinstance(error, Exception) else native.SP_OUTCOME_IGNORED


class Breaker:
    """Circuit breaker around any call: run() for plain functions, run_async() for coroutine functions."""

    def __init__(self, handle: Any) -> None:
        self._native = handle

    @contextmanager
    def _permit(self) -> Iterator[None]:
        permit = native.breaker_acquire(self._native)
        start = time.monotonic_ns()
        try:
            yield
        except BaseException as error:
            native.breaker_record(self._native, permit, _outcome(error), time.monotonic_ns() - start)
            raise
        native.breaker_record(self._native, permit, native.SP_OUTCOME_SUCCESS, time.monotonic_ns() - start)

    @staticmethod
    def _answers(error: Exception) -> bool:
        """Whether a fallback stands in: for a failure or an open breaker, not for the caller's own errors."""
        return getattr(error, "code", "") == "SP_OPEN" or _outcome(error) == native.SP_OUTCOME_FAILURE

    def run(self, work: Callable[[], T], fallback: Callable[[Exception], T] | None = None) -> T:
        try:
            with self._permit():
                return work()
        except Exception as error:
            if fallback is None or not self._answers(error):
                raise
            return fallback(error)

    async def run_async(
        self, work: Callable[[], Awaitable[T]], fallback: Callable[[Exception], Awaitable[T]] | None = None
    ) -> T:
        try:
            with self._permit():
                return await work()
        except Exception as error:
            if fallback is None or not self._answers(error):
                raise
            return await fallback(error)

    @property
    def name(self) -> str:
        return native.breaker_name(self._native)

    @property
    def state(self) -> str:
        return native.breaker_state_name(native.breaker_state(self._native))

    @property
    def failures(self) -> int:
        return native.breaker_failures(self._native)

    @property
    def next_attempt(self) -> int:
        """Milliseconds until a probe is let through."""
        return native.breaker_next_attempt(self._native)

    def report(self) -> dict[str, Any]:
        return json_of(native.breaker_report(self._native))

    def __repr__(self) -> str:
        return f"<sugarperf.Breaker {self.name} {self.state}>"


class Profiler:
    """What named work costs, and the slow log. Statements of the client are recorded by themselves."""

    def __init__(self, client: Base, handle: Any) -> None:
        self._client = client
        self._native = handle

    @contextmanager
    def run(self, name: str) -> Iterator[None]:
        """Records the body under `name`."""
        self._client._check()
        start = native.profiler_start(self._native)
        status = native.SP_OK
        try:
            yield
        except BaseException as error:
            status = getattr(native, getattr(error, "code", None) or "SP_INTERNAL", native.SP_INTERNAL)
            raise
        finally:
            if not self._client.closed:
                native.profiler_finish(self._native, name, start, status)

    def stats(self, name: str) -> dict[str, float]:
        """Milliseconds; zeros for an unknown name."""
        self._client._check()

        def quantile(q: float) -> float:
            return native.profiler_quantile_ns(self._native, name, q) / _MS

        return {
            "count": native.profiler_count(self._native, name),
            "errors": native.profiler_errors(self._native, name),
            "total": native.profiler_total_ns(self._native, name) / _MS,
            "p50": quantile(0.5),
            "p95": quantile(0.95),
            "p99": quantile(0.99),
        }

    def slow(self) -> list[dict[str, Any]]:
        """Empties the slow log, oldest first."""
        self._client._check()
        entries = []
        while (slow := native.profiler_slow(self._native)) is not None:
            entries.append(
                {
                    "name": native.slow_name(slow),
                    "text": native.slow_text(slow),
                    "duration": native.slow_duration_ns(slow) / _MS,
                    "wait": native.slow_wait_ns(slow) / _MS,
                }
            )
        return entries


class Base:
    """The parts of a client that never wait."""

    def __init__(self, settings: Mapping[str, Any] | None, env: bool) -> None:
        self._closed = True
        self._native = native.client_new(config_of(settings or {}, env))
        self._closed = False
        self._cache = native.client_cache(self._native)
        self._root = native.ctx_new(None)
        self.profiler = Profiler(self, native.client_profiler(self._native))

    @property
    def closed(self) -> bool:
        return self._closed

    def _check(self) -> None:
        if self._closed:
            raise errors.make(native.SP_CLOSED, "the client is closed")

    def _pool(self, name: str | None) -> Any:
        self._check()
        pool = native.client_pool(self._native, name)
        if pool is None:
            raise errors.make(native.SP_NOT_FOUND, f'no pool "{name}" is configured: set pool.{name}.url')
        return pool

    def _ctx(self, timeout: float | str | None) -> Any:
        """A context of the call's own; `timeout` in seconds, or text as in the configuration ("250ms")."""
        ctx = native.ctx_new(self._root)
        if timeout is not None:
            text = timeout if isinstance(timeout, str) else f"{round(timeout * 1000)}ms"
            native.ctx_set(ctx, "timeout", text)
        return ctx

    def breaker(self, name: str) -> Breaker:
        self._check()
        return Breaker(native.client_breaker(self._native, name))

    def metrics(self, format: str = "prometheus") -> str:
        self._check()
        number = getattr(native, f"SP_METRICS_{format.upper()}", None)
        if number is None:
            raise errors.make(native.SP_INVALID, f"metrics(): unknown format {format}")
        return native.value_data(native.metrics_text(native.client_metrics(self._native), number)).decode()

    def cache_report(self) -> dict[str, Any]:
        self._check()
        return json_of(native.cache_report(self._cache))

    def pool_stats(self, name: str | None = None) -> dict[str, int]:
        pool = self._pool(name)
        return {what: getattr(native, f"pool_{what}")(pool) for what in ("active", "idle", "waiting", "max")}

    def __repr__(self) -> str:
        return f"<sugarperf.{type(self).__name__} {'closed' if self._closed else 'open'}>"
