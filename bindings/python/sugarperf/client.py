# SPDX-License-Identifier: MIT
"""The blocking face: calls wait on the caller's thread, with the interpreter's lock released; Ctrl-C works."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from . import codec, errors, given, native, params, rows
from .key import Template
from .parts import Base, targets_of
from .queues import Start, ThreadQueue
from .statement import Statement, handle_of

Timeout = float | str | None


class Session:
    """A connection of one's own, for transactions and session state: `with client.acquire() as session`."""

    def __init__(self, client: Client, handle: Any) -> None:
        self._client = client
        self._native = handle

    def query(
        self, sql: str | Statement, values: Sequence[Any] | None = None, *, timeout: Timeout = None
    ) -> rows.Rows:
        client, handle = self._client, self._native
        if handle is None or client.closed:
            raise errors.make(native.SP_CLOSED, "the session was given back")
        ctx, statement = client._ctx(timeout), handle_of(sql)
        packed = client._call(
            lambda queue, tag: native.session_query_async(handle, ctx, statement, params.load(values), queue, tag), ctx
        )
        return rows.decode(packed, client.types)

    def _release(self) -> None:
        self._client._held.release(self._native)
        self._native = None


class Cache:
    """Cache-aside over leases: the loader is yours; who loads and who waits is the library's decision."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def template(self, text: str, *, patterns: Iterable[str] = (), **options: str | int) -> Template:
        """Declares a key template, its TTLs and the patterns under which its keys can be invalidated."""
        self._client._check()
        template = Template(text, patterns=patterns, **options)
        native.cache_declare(self._client._cache, template._native)
        return template

    def get(
        self,
        key: str | bytes,
        loader: Callable[[], Any],
        *,
        ttl: float = 0,
        tags: Iterable[str] = (),
        timeout: Timeout = None,
    ) -> Any:
        """The value of `key`; where there is none, one caller's `loader()` makes it while all others wait.

        `ttl` in seconds; 0: the template's. A stale value is returned only after it was refreshed where the refresh
        falls to this caller. `timeout` bounds waiting; a loader of one's own is not interrupted. A value above
        `cache.value_max` (8 MB) is returned and not kept: each call loads it anew.
        """
        client = self._client
        client._check()
        given.function("loader", loader)
        ttl_ms, tags = given.milliseconds("ttl", ttl), given.several("tags", tags)
        known = native.cache_glance(client._cache, key)
        if known is not None:
            return codec.decode(*known, client.types)
        ctx = client._ctx(timeout)
        _, value, lease = client._call(
            lambda queue, tag: native.cache_lookup_async(client._cache, ctx, key, queue, tag), ctx
        )
        if lease is None:
            return codec.decode(*value, client.types)
        client._held.add(lease, native.lease_release)
        try:
            return self._load(lease, loader, ttl_ms, tags)
        except Exception:
            if value is None:
                raise
            return codec.decode(*value, client.types)

    def _load(self, lease: Any, loader: Callable[[], Any], ttl_ms: int, tags: Iterable[str]) -> Any:
        client = self._client
        try:
            kind, data = codec.encode(self._loaded(loader()))
            client._check()
            for tag in tags:
                native.lease_tag(lease, tag)
        except BaseException:
            client._held.release(lease)
            raise
        self._fill(lease, kind, data, ttl_ms)
        return codec.decode(kind, data, client.types)

    @staticmethod
    def _loaded(value: Any) -> Any:
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            raise TypeError("loader must be a plain function: coroutine functions belong to AsyncClient")
        return value

    def _fill(self, lease: Any, kind: int, data: bytes, ttl_ms: int) -> None:
        """The value is right for its caller also when it could not be stored (it was invalidated meanwhile, …)."""
        client = self._client
        ctx = client._ctx(None)
        if not client._held.forget(lease):
            return
        try:
            client._call(lambda queue, tag: native.lease_fill_async(lease, ctx, data, kind, ttl_ms, queue, tag), ctx)
        except errors.Error:
            pass

    def query(
        self,
        key: str | bytes,
        sql: str | Statement,
        values: Sequence[Any] | None = None,
        *,
        cell: bool = False,
        pool: str | None = None,
        timeout: Timeout = None,
    ) -> Any:
        """Runs a statement through the cache: its rows, or with `cell` the first cell (None: no row)."""
        client = self._client
        ctx, statement, handle = client._ctx(timeout), handle_of(sql), client._pool(pool)
        mode = native.SP_QUERY_CELL if cell else native.SP_QUERY_RESULT

        def start(queue: Any, tag: int) -> None:
            native.cache_query_async(
                client._cache, handle, ctx, key, statement, params.load(values), mode, queue, tag
            )

        try:
            return codec.decode(*client._call(start, ctx), client.types)
        except LookupError as error:
            if not isinstance(error, errors.Error):
                raise
            return None

    def invalidate(
        self,
        *,
        keys: Iterable[Any] = (),
        tags: Iterable[Any] = (),
        patterns: Iterable[Any] = (),
        timeout: Timeout = None,
    ) -> None:
        """After it returns no read in this process answers an old value of these targets."""
        client = self._client
        client._check()
        ctx, targets = client._ctx(timeout), targets_of(keys, tags, patterns)
        client._call(lambda queue, tag: native.cache_invalidate_async(client._cache, ctx, targets, queue, tag), ctx)

    def report(self) -> dict[str, Any]:
        return self._client.cache_report()


class Client(Base):
    """`settings` are the library's configuration names; `env`: read DATABASE_URL, REDIS_URL and SUGARPERF_… too.

    with Client({"pool.url": …, "redis.url": …}) as client:
        rows = client.query("SELECT title FROM contents WHERE id = $1", ["content-7"])

    Safe from any thread. It must be closed once nobody uses it, by `with` or close(): an open one keeps its connections
    and a thread. One that is collected, or open when the interpreter exits, is closed with a ResourceWarning.
    """

    def __init__(
        self, settings: Mapping[str, Any] | None = None, *, env: bool = False, types: rows.Types | None = None
    ) -> None:
        super().__init__(settings, env)
        self.types = types
        self._local = threading.local()
        self.cache = Cache(self)

    def _call(self, start: Start, ctx: Any) -> Any:
        queue = getattr(self._local, "queue", None)
        if queue is None:
            queue = self._local.queue = ThreadQueue()
        return queue.call(start, ctx)

    def query(
        self,
        sql: str | Statement,
        values: Sequence[Any] | None = None,
        *,
        pool: str | None = None,
        timeout: Timeout = None,
    ) -> rows.Rows:
        """Runs one statement; its rows as dicts. `timeout` in seconds, or text such as "250ms"."""
        handle, ctx, statement = self._pool(pool), self._ctx(timeout), handle_of(sql)
        packed = self._call(
            lambda queue, tag: native.pool_query_async(handle, ctx, statement, params.load(values), queue, tag), ctx
        )
        return rows.decode(packed, self.types)

    @contextmanager
    def acquire(self, *, pool: str | None = None, timeout: Timeout = None) -> Iterator[Session]:
        """A connection of one's own. What is open at the end is rolled back."""
        handle, ctx = self._pool(pool), self._ctx(timeout)
        made = self._call(lambda queue, tag: native.pool_acquire_async(handle, ctx, queue, tag), ctx)
        session = Session(self, self._held.add(made, native.session_release))
        try:
            yield session
        finally:
            session._release()

    @contextmanager
    def transaction(self, *, pool: str | None = None, timeout: Timeout = None) -> Iterator[Session]:
        with self.acquire(pool=pool, timeout=timeout) as session:
            session.query("BEGIN")
            yield session
            session.query("COMMIT")

    def health(self, pool: str | None = None) -> dict[str, Any]:
        """The database's health after a SELECT 1 within its own deadline."""
        handle, ctx = self._pool(pool), self._ctx(None)
        return codec.decode(*self._call(lambda queue, tag: native.pool_health_async(handle, ctx, queue, tag), ctx))

    def close(self, *, timeout: float | None = None) -> None:
        """No new work; what waits ends with ClosedError. With `timeout` (seconds), what still runs then is cancelled."""
        timeout_ms = None if timeout is None else given.milliseconds("timeout", timeout)
        if self._closed:
            return
        self._closed = True
        self._end(timeout_ms)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
