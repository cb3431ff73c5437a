# SPDX-License-Identifier: MIT
"""What statements and named work cost, which of it was slow, what should have been one statement, and which index is missing.

Statements of the client are recorded by themselves; fields of what is told: docs/profiler.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import codec, native, steps
from .tables import json_of

_MS = 1e6


def _entry(slow: Any) -> dict[str, Any]:
    return {
        "name": native.slow_name(slow),
        "text": native.slow_text(slow),
        "duration": native.slow_duration_ns(slow) / _MS,
        "wait": native.slow_wait_ns(slow) / _MS,
        "execute": native.slow_execute_ns(slow) / _MS,
        "fetch": native.slow_fetch_ns(slow) / _MS,
        "rows": native.slow_rows(slow),
        "status": native.status_name(native.slow_status(slow)),
        "sqlstate": native.slow_code(slow),
        "tag": native.slow_tag(slow),
        "trace": native.slow_trace(slow),
        "scope": native.slow_scope(slow),
        "plan": native.slow_plan(slow),
    }


class Profiler:
    """What waits is to be awaited with an AsyncClient."""

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
        """Empties the slow log, oldest first; times in milliseconds."""
        self._client._check()
        entries = []
        while (slow := native.profiler_slow(self._native)) is not None:
            entries.append(_entry(slow))
        return entries

    @property
    def slow_missed(self) -> int:
        """Entries that fell out of the ring unread."""
        self._client._check()
        return native.profiler_slow_missed(self._native)

    @property
    def slow_limited(self) -> int:
        """Slow runs that made no entry, because more than profiler.slow_rate came in a second."""
        self._client._check()
        return native.profiler_slow_limited(self._native)

    def report(self, top: int = 0) -> dict[str, Any]:
        """{"statements", "work", "findings"}: those with the greatest total time in front, `top` of each (0: all)."""
        self._client._check()
        return json_of(native.profiler_report(self._native, top))

    def explain(self, name: str, *, timeout: steps.Timeout = None) -> Any:
        """The plan of a statement that ran, by its name. Nothing is run."""
        return self._client._play(self._asked(native.profiler_explain_async, name, timeout))

    def advise(self, pool: str | None = None, *, timeout: steps.Timeout = None) -> Any:
        """Which indexes the recorded statements of a pool want. Nothing is made or dropped."""
        return self._client._play(self._asked(native.profiler_advise_async, pool, timeout))

    def server(self, pool: str | None = None, *, timeout: steps.Timeout = None) -> Any:
        """What the server of a pool knows itself; "lacks" says what it would not tell."""
        return self._client._play(self._asked(native.profiler_server_async, pool, timeout))

    def events(self) -> Any:
        """What somebody should hear of, as it comes: {"kind": "slow" | "n+1" | "repeat" | "plan", …}. Ends with the client.

        An iterator, an asynchronous one with an AsyncClient.
        """
        return self._client._news(self._native, native.profiler_watch_async, "event")

    def spans(self) -> Any:
        """Statements under a sampled `trace`, from the first item on: {"spans": […], "missed"}, elements of OTLP's "spans"."""
        return self._client._news(self._native, native.profiler_spans_async, "event")

    def _asked(self, call: Callable[..., None], about: str | None, timeout: steps.Timeout) -> steps.Steps[Any]:
        self._client._check()
        ctx = self._client._ctx(timeout)
        return codec.decode(*(yield ctx, lambda queue, tag: call(self._native, ctx, about, queue, tag)))
