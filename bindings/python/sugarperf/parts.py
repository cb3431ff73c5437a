# SPDX-License-Identifier: MIT
"""What both faces share: profiler and the reports of a client."""

from __future__ import annotations

import atexit
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from . import codec, errors, given, native, params, rows, scopes, steps
from .changes import Feed, Rules
from .guard import Breaker, Policy
from .held import Held
from .tables import config_of, json_of

_MS = 1e6


def targets_of(keys: Iterable[Any], tags: Iterable[Any], patterns: Iterable[Any]) -> Any:
    """Patterns are texts as declared, or (pattern, values) with values for their {names}."""
    targets = native.targets_new()
    for key in given.several("keys", keys):
        native.targets_key(targets, key)
    for tag in given.several("tags", tags):
        native.targets_tag(targets, tag)
    for item in given.several("patterns", patterns):
        pattern, values = (item, ()) if isinstance(item, str) else item
        native.targets_pattern(targets, pattern, params.load(values))
    return targets


class Profiler:
    """What named work costs, and the slow log. Statements of the client are recorded by themselves."""

    def __init__(self, client: Any, handle: Any) -> None:
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

    def report(self, top: int = 0) -> dict[str, Any]:
        """{"statements", "work", "findings"}: those with the greatest total time in front, `top` of each (0: all)."""
        self._client._check()
        return json_of(native.profiler_report(self._native, top))

    def explain(self, name: str, *, timeout: steps.Timeout = None) -> Any:
        """The plan of a statement that ran, by its name; to be awaited with an AsyncClient."""
        return self._client._play(self._asked(native.profiler_explain_async, name, timeout))

    def advise(self, pool: str | None = None, *, timeout: steps.Timeout = None) -> Any:
        """Which indexes the recorded statements of a pool want; to be awaited with an AsyncClient."""
        return self._client._play(self._asked(native.profiler_advise_async, pool, timeout))

    def _asked(self, call: Callable[..., None], about: str | None, timeout: steps.Timeout) -> steps.Steps[Any]:
        self._client._check()
        ctx = self._client._ctx(timeout)
        return codec.decode(*(yield ctx, lambda queue, tag: call(self._native, ctx, about, queue, tag)))


_open: weakref.WeakSet[Base] = weakref.WeakSet()


@atexit.register
def _exit() -> None:
    for client in list(_open):
        client._abandon(at_exit=True)


class Base:
    """The parts of a client that never wait, and its end."""

    def __init__(self, settings: Mapping[str, Any] | None, env: bool, types: rows.Types | None) -> None:
        self._closed = True
        self.types = dict(types) if types else None
        self._native = native.client_new(config_of(settings or {}, env))
        self._closed = False
        self._held = Held()
        _open.add(self)
        self._cache = native.client_cache(self._native)
        self._root = native.ctx_new(None)
        self._listening = native.ctx_new(self._root)  # of what waits for events, without end
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
            missing = f'no pool "{name}" is configured: set pool.{name}.url'
            if name in (None, "default"):
                missing = "no database is configured: set pool.url (DATABASE_URL)"
            raise errors.make(native.SP_NOT_FOUND, missing)
        return pool

    def _ctx(self, timeout: float | str | None) -> Any:
        """A context of the call's own; `timeout` in seconds, or text as in the configuration ("250ms")."""
        ctx = native.ctx_new(self._above())
        if timeout is not None:
            native.ctx_set(ctx, "timeout", given.duration("timeout", timeout))
        return ctx

    def _above(self) -> Any:
        """The context above a call that is made here."""
        return scopes.above(self) or self._root

    @contextmanager
    def scope(
        self,
        name: str | None = None,
        *,
        timeout: float | str | None = None,
        tag: str | None = None,
        trace: str | None = None,
        reads: str | None = None,
        cache: str | None = None,
    ) -> Iterator[None]:
        """The body as one unit of work: what is said here holds for all calls of this client inside it, however deep.

        `name` is for the profiler ("GET /orders"), `timeout` is the whole's, `tag` who calls, `trace` a W3C traceparent, `reads` "primary" or "replica" (where replicas
        are, reads see what the unit has written), `cache` "read", "refresh" or "bypass". A transaction is such a unit as well.
        """
        self._check()
        said = {"unit": "own", "scope": name, "tag": tag, "trace": trace, "reads": reads, "cache": cache}
        with scopes.within(self, steps.context(self._above(), timeout, **said)):
            yield

    def breaker(self, name: str) -> Breaker:
        self._check()
        return Breaker(native.client_breaker_ref(self._native, name), self)

    def policy(self, name: str) -> Policy:
        """Deadline, retries, breaker, rate and concurrency as policy.<name>.… says."""
        self._check()
        return Policy(native.client_policy_ref(self._native, name), self)

    def rules(self, text: str, source: str | None = None) -> Rules:
        """Rules over the cache, once its templates are declared; `source` stands for the text in messages."""
        return Rules(self, text, source)

    def feed(self, rules: Rules, pool: str | None = None) -> Feed:
        """Reads what any transaction changes, from where that pool connects, and invalidates by the rules."""
        return Feed(self, rules, pool)

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
        pool: Any = getattr(self, "pool")  # of either face
        return dict(pool(name).stats())

    def _end(self, timeout_ms: int | None) -> None:
        """Whoever calls it has set _closed."""
        _open.discard(self)
        native.ctx_cancel(self._listening)
        native.client_close(self._native)
        self._held.release_all()
        if timeout_ms is not None:
            try:
                native.client_drain(self._native, timeout_ms)
            except errors.Error:
                native.ctx_cancel(self._root)
        native.client_free(self._native)

    def _abandon(self, at_exit: bool = False) -> None:
        """Nobody closed it. Nobody waits for what still runs either, but threads that the exit found inside it."""
        unclosed = f"unclosed {self!r}: close it, or use it in a with statement"
        self._closed = True
        native.ctx_cancel(self._root)
        if at_exit and threading.active_count() > 1:
            native.client_close(self._native)
        else:
            self._end(None)
        warnings.warn(unclosed, ResourceWarning, stacklevel=2, source=self)

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self._abandon()

    def __repr__(self) -> str:
        return f"<sugarperf.{type(self).__name__} {'closed' if self._closed else 'open'}>"
