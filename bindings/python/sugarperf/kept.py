# SPDX-License-Identifier: MIT
"""Values whose home is the cache, for both faces: what nobody loads."""

from __future__ import annotations

from typing import Any

from . import codec, errors, given, native
from .steps import Steps, Timeout


def put(client: Any, key: str | bytes, value: Any, ttl: float, timeout: Timeout) -> Steps[None]:
    client._check()
    ttl_ms, (kind, data), ctx = given.milliseconds("ttl", ttl), codec.encode(value), client._ctx(timeout)
    yield ctx, lambda queue, tag: native.cache_set_async(client._cache, ctx, key, data, kind, ttl_ms, queue, tag)


def touch(client: Any, key: str | bytes, ttl: float, timeout: Timeout) -> Steps[bool]:
    client._check()
    ttl_ms, ctx = given.milliseconds("ttl", ttl), client._ctx(timeout)
    try:
        yield ctx, lambda queue, tag: native.cache_touch_async(client._cache, ctx, key, ttl_ms, queue, tag)
    except LookupError as error:
        if not isinstance(error, errors.Error):
            raise
        return False
    return True


def drop(client: Any, key: str | bytes, timeout: Timeout) -> Steps[None]:
    client._check()
    ctx = client._ctx(timeout)
    yield ctx, lambda queue, tag: native.cache_delete_async(client._cache, ctx, key, queue, tag)
