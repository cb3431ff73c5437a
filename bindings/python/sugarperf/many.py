# SPDX-License-Identifier: MIT
"""Many keys at once, for both faces: one trip for those that are not in process, one load for those that nobody has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from . import codec, given, native, params, steps

Tags = Iterable[str] | Callable[[str], Iterable[str]]


def keys_of(keys: Any) -> list[str]:
    """Each once, in order."""
    return list(dict.fromkeys(given.several("keys", keys)))


def tags_of(tags: Tags, key: str) -> Iterable[str]:
    return given.several("tags", tags(key) if callable(tags) else tags)


class Many:
    """A lookup of several keys. `found` is what is known of them so far."""

    def __init__(self, client: Any, ctx: Any, keys: Sequence[str]) -> None:
        self._client = client
        self._ctx = ctx
        self._keys = keys
        self._handle: Any = None
        self._mine: list[int] = []
        self.found: dict[str, Any] = {}

    def look_up(self) -> steps.Steps[list[str]]:
        """The keys that are ours to load. Others that are not found then, another caller is loading."""
        client, ctx = self._client, self._ctx
        made = yield ctx, lambda queue, tag: native.cache_lookup_many_async(
            client._cache, ctx, params.load(self._keys), queue, tag
        )
        self._handle = client._held.add(made, native.lookups_free)
        for key, pair in zip(self._keys, native.lookups_pairs(made)):
            if pair is not None:
                self.found[key] = codec.decode(*pair, types=client.types)
        index = native.lookups_next(made, 0)
        while index < len(self._keys):
            self._mine.append(index)
            index = native.lookups_next(made, index + 1)
        return [self._keys[index] for index in self._mine]

    def put(self, loaded: Mapping[str, Any], ttl_ms: int, tags: Tags) -> None:
        """What `loaded` lacks is not there."""
        self._client._check()
        for index in self._mine:
            key = self._keys[index]
            kind, data = codec.encode(loaded.get(key))
            self.found[key] = codec.decode(kind, data, types=self._client.types)
            if key in loaded:
                native.lookups_put(self._handle, index, data, kind, ttl_ms)
                for tag in tags_of(tags, key):
                    native.lookups_tag(self._handle, index, tag)

    def fill(self, queue: Any, tag: int) -> None:
        native.lookups_fill_async(self._handle, self._ctx, queue, tag)

    def give_up(self) -> bool:
        """Whether what is stale stands in for what was not loaded."""
        if self._handle is None or not self._client._held.forget(self._handle):
            return False
        stands = native.lookups_give_up(self._handle) == 1
        native.lookups_free(self._handle)
        return stands

    def release(self) -> None:
        if self._handle is not None:
            self._client._held.release(self._handle)
