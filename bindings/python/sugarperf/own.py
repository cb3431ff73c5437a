# SPDX-License-Identifier: MIT
"""What a service counts itself, on the page of client.metrics(): client.counter(), gauge(), histogram() give one series, to be kept.

What comes once the client is closed counts nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import given, native, params

Labels = Mapping[str, object]
_LONGEST = 1e9  # seconds


class _Series:
    def __init__(self, client: Any, take: Any, name: str, help: str, labels: Labels | None) -> None:
        words = [word for label, value in (labels or {}).items() for word in (label, str(value))]
        client._check()
        self._client = client
        self._native = take(native.client_metrics(client._native), name, help, params.load(words))

    def _call(self, call: Any, *args: Any) -> Any:
        return 0 if self._client.closed else call(self._native, *args)


class Counter(_Series):
    def __init__(self, client: Any, name: str, help: str, labels: Labels | None = None) -> None:
        super().__init__(client, native.metrics_counter, name, help, labels)

    def add(self, count: int = 1) -> None:
        if count < 0:
            raise ValueError(f"count must be 0 or more, not {count}: a counter never falls")
        self._call(native.counter_add, count)

    @property
    def value(self) -> int:
        return int(self._call(native.counter_value))


class Gauge(_Series):
    def __init__(self, client: Any, name: str, help: str, labels: Labels | None = None) -> None:
        super().__init__(client, native.metrics_gauge, name, help, labels)

    def set(self, value: float) -> None:
        self._call(native.gauge_set, value)

    def add(self, change: float) -> None:
        self._call(native.gauge_add, change)

    @property
    def value(self) -> float:
        return float(self._call(native.gauge_value))


class Histogram(_Series):
    """Of durations, in seconds."""

    def __init__(self, client: Any, name: str, help: str, labels: Labels | None = None) -> None:
        super().__init__(client, native.metrics_histogram, name, help, labels)

    def record(self, seconds: float) -> None:
        self._call(native.histogram_record, round(min(given.seconds("seconds", seconds), _LONGEST) * 1e9))

    @property
    def count(self) -> int:
        return int(self._call(native.histogram_count))

    def quantile(self, q: float) -> float:
        """`q` from 0 to 1; 0 when there are none."""
        return float(self._call(native.histogram_quantile_ns, q)) / 1e9
