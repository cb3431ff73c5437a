# SPDX-License-Identifier: MIT
"""Rules, which say what stands behind a changed row, what a transaction's commit invalidates, and the change feed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import errors, native, params, steps
from .tables import json_of

_CHANGES = {
    "insert": native.SP_ROW_INSERT,
    "update": native.SP_ROW_UPDATE,
    "delete": native.SP_ROW_DELETE,
    "truncate": native.SP_ROW_TRUNCATE,
}


def row_of(table: str, change: str, row: Mapping[str, Any], was: Mapping[str, Any]) -> Any:
    if change not in _CHANGES:
        raise errors.make(native.SP_INVALID, f"a change is one of {', '.join(_CHANGES)}, not {change}")
    made = native.row_new(table, _CHANGES[change])
    for name, value in row.items():
        native.row_set(made, name, None if value is None else params.text_of(value))
    for name, value in was.items():
        native.row_was(made, name, None if value is None else params.text_of(value))
    return made


class Rules:
    """Which keys, patterns and tags a changed row makes wrong: client.rules("contents(id) -> rec:content:{id}:full").

    A change is "insert", "update", "delete" or "truncate", `row` its columns (of a deleted row: those that it had), `was` what
    those that an update changed had before.
    """

    def __init__(self, client: Any, text: str, source: str | None = None) -> None:
        client._check()
        self._client = client
        self._native = native.rules_new(client._cache)
        native.rules_add(self._native, source, text)

    def explain(self, table: str, change: str, row: Mapping[str, Any] = {}, was: Mapping[str, Any] = {}) -> dict[str, Any]:
        """What this change would touch; nothing is done."""
        return json_of(native.rules_explain(self._native, row_of(table, change, row, was)))

    def invalidate(
        self,
        table: str,
        change: str,
        row: Mapping[str, Any] = {},
        was: Mapping[str, Any] = {},
        *,
        timeout: steps.Timeout = None,
    ) -> Any:
        """As cache.invalidate(), of what the change touches; to be awaited with an AsyncClient."""
        return self._client._play(self._invalidate(row_of(table, change, row, was), timeout))

    def _invalidate(self, row: Any, timeout: steps.Timeout) -> steps.Steps[None]:
        self._client._check()
        ctx = self._client._ctx(timeout)
        yield ctx, lambda queue, tag: native.invalidate_row_async(self._native, ctx, row, queue, tag)


class Feed:
    """The change feed: client.feed(rules). It ends with the client."""

    def __init__(self, client: Any, rules: Rules, pool: str | None) -> None:
        client._check()
        self._client = client
        self._rules = rules
        self._native = native.client_feed(client._native, pool, rules._native)

    def report(self) -> dict[str, Any]:
        self._client._check()
        return json_of(native.feed_report(self._native))


class Commits:
    """What a transaction invalidates when it commits: after that no read answers an old value. A rollback drops it."""

    _seat: steps.Seat

    def invalidate(
        self, *, keys: Iterable[Any] = (), tags: Iterable[Any] = (), patterns: Iterable[Any] = ()
    ) -> None:
        from .parts import targets_of

        native.session_invalidate(self._seat.handle, self._seat.client._cache, targets_of(keys, tags, patterns))

    def changed(
        self, rules: Rules, table: str, change: str, row: Mapping[str, Any] = {}, was: Mapping[str, Any] = {}
    ) -> None:
        """By `rules`, of a row."""
        native.session_invalidate_row(self._seat.handle, rules._native, row_of(table, change, row, was))
