# SPDX-License-Identifier: MIT
"""What both faces share: the parts of a client that never wait."""

from __future__ import annotations

import atexit
import threading
import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from . import codec, errors, given, native, params, rows, scopes, steps
from .changes import Feed, Rules
from .guard import Breaker, Policy
from .held import Held
from .own import Counter, Gauge, Histogram, Labels
from .profiler import Profiler
from .tables import config_of, json_of

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
        self._choosy = False  # calls may be inside a scope that says what it may take from the cache
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
        self._choosy = self._choosy or cache is not None
        with scopes.within(self, steps.context(self._above(), timeout, **said), cache is not None):
            yield

    def _glance(self, key: str | bytes) -> Any:
        """What is in process: codec and bytes, or None. Where a scope says what may be taken, the library is asked."""
        if self._choosy and scopes.choosy(self):
            return None
        return native.cache_glance(self._cache, key)

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

    def counter(self, name: str, help: str, labels: Labels | None = None) -> Counter:
        """A series of one's own on the page of metrics(), to be kept. The same name and labels are the same series."""
        return Counter(self, name, help, labels)

    def gauge(self, name: str, help: str, labels: Labels | None = None) -> Gauge:
        return Gauge(self, name, help, labels)

    def histogram(self, name: str, help: str, labels: Labels | None = None) -> Histogram:
        """Of durations: the name ends in "_seconds"."""
        return Histogram(self, name, help, labels)

    def _health(self, timeout: steps.Timeout) -> steps.Steps[dict[str, Any]]:
        self._check()
        ctx = self._ctx(timeout)
        return codec.decode(*(yield ctx, lambda queue, tag: native.client_health_async(self._native, ctx, queue, tag)))

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
