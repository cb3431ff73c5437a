# SPDX-License-Identifier: MIT
"""The blocking face: calls wait on the caller's thread, with the interpreter's lock released; Ctrl-C works."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ContextManager, TypeVar

from . import codec, errors, given, kept, many, native, params, rows, steps
from .key import Template
from .parts import Base, targets_of
from .pool import Pool, Session, Transaction
from .queues import Start, ThreadQueue
from .schedule import Schedule
from .statement import Statement, handle_of
from .steps import Timeout

T = TypeVar("T")


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
        known = client._glance(key)
        if known is not None:
            return codec.decode(*known, types=client.types)
        return self._seek(key, loader, ttl_ms, tags, client._ctx(timeout))

    def _seek(self, key: str | bytes, loader: Callable[[], Any], ttl_ms: int, tags: Iterable[str], ctx: Any) -> Any:
        client = self._client
        _, value, lease = client._call(
            lambda queue, tag: native.cache_lookup_async(client._cache, ctx, key, queue, tag), ctx
        )
        if lease is None:
            return codec.decode(*value, types=client.types)
        client._held.add(lease, native.lease_release)
        try:
            return self._load(lease, loader, ttl_ms, tags)
        except Exception:
            if value is None:
                raise
            return codec.decode(*value, types=client.types)

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
        return codec.decode(kind, data, types=client.types)

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

    def get_many(
        self,
        keys: Iterable[str],
        loader: Callable[[list[str]], Mapping[str, Any]],
        *,
        ttl: float = 0,
        tags: many.Tags = (),
        timeout: Timeout = None,
    ) -> dict[str, Any]:
        """The values of `keys`. `loader(missing)` is called once for those that nobody has: what it answers by key is stored,

        what it leaves out is "there is nothing", None. `tags`: texts, or a function of the key.
        """
        client = self._client
        client._check()
        given.function("loader", loader)
        ttl_ms, wanted = given.milliseconds("ttl", ttl), many.keys_of(keys)
        if not wanted:
            return {}
        ctx = client._ctx(timeout)
        look = many.Many(client, ctx, wanted)
        try:
            if missing := client._play(look.look_up()):
                look.put(self._loaded(loader(missing)), ttl_ms, tags)
                with suppress(errors.Error):
                    client._call(look.fill, ctx)
        except Exception:
            if not look.give_up():
                raise
        finally:
            look.release()
        for key in wanted:
            if key not in look.found:
                look.found[key] = self._one(key, loader, ttl_ms, tags, ctx)
        return {key: look.found[key] for key in wanted}

    def _one(self, key: str, loader: Callable[[list[str]], Any], ttl_ms: int, tags: many.Tags, ctx: Any) -> Any:
        """Another caller was to load it."""
        return self._seek(key, lambda: self._loaded(loader([key])).get(key), ttl_ms, many.tags_of(tags, key), ctx)

    def set(self, key: str | bytes, value: Any, *, ttl: float = 0, timeout: Timeout = None) -> None:
        """Stores a value that nobody loads: what is under the key now, in every process, is invalidated.

        Of two that are set at once one remains. `ttl` in seconds; 0: the template's. For values whose home is the cache: where
        it is the database, invalidate(), and let the next reader load.
        """
        self._client._play(kept.put(self._client, key, value, ttl, timeout))

    def touch(self, key: str | bytes, *, ttl: float = 0, timeout: Timeout = None) -> bool:
        """What is under the key is fresh for `ttl` seconds from now (0: as its template says). False: there is nothing."""
        return self._client._play(kept.touch(self._client, key, ttl, timeout))

    def delete(self, key: str | bytes, *, timeout: Timeout = None) -> None:
        """As invalidate(keys=[key])."""
        self._client._play(kept.drop(self._client, key, timeout))

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
            return codec.decode(*client._call(start, ctx), types=client.types)
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
        super().__init__(settings, env, types)
        self._local = threading.local()
        self._pools: dict[str, Pool] = {}
        self.cache = Cache(self)

    def _call(self, start: Start, ctx: Any = None) -> Any:
        queue = getattr(self._local, "queue", None)
        if queue is None:
            queue = self._local.queue = ThreadQueue(self.types)
        return queue.call(start, ctx)

    def schedule(self, name: str, when: str) -> Schedule:
        """`when`: "hourly", "daily 03:30", "every 90s", "start", or as in cron(5), in UTC; see schedule.py."""
        return Schedule(self, name, when)

    def pool(self, name: str | None = None) -> Pool:
        """A configured pool, or the default one."""
        name = name or "default"
        if (pool := self._pools.get(name)) is None:
            pool = self._pools[name] = Pool(self, self._pool(name))
        self._check()
        return pool

    # What pool() has, on the default one or the one that is named.

    def query(
        self,
        sql: str | Statement,
        values: Sequence[Any] | None = None,
        *,
        pool: str | None = None,
        timeout: Timeout = None,
    ) -> rows.Rows:
        return self.pool(pool).query(sql, values, timeout=timeout)

    def batch(
        self,
        sql: str | Statement,
        sets: Sequence[Sequence[Any]],
        *,
        pool: str | None = None,
        timeout: Timeout = None,
    ) -> rows.Sets:
        return self.pool(pool).batch(sql, sets, timeout=timeout)

    def stream(
        self, sql: str | Statement, values: Sequence[Any] | None = None, *, pool: str | None = None, **options: Any
    ) -> Iterator[dict[str, Any]]:
        return self.pool(pool).stream(sql, values, **options)

    def acquire(self, *, pool: str | None = None, timeout: Timeout = None) -> ContextManager[Session]:
        return self.pool(pool).acquire(timeout=timeout)

    def transaction(self, *, pool: str | None = None, **options: Any) -> ContextManager[Transaction]:
        return self.pool(pool).transaction(**options)

    def transact(self, work: Callable[[Transaction], T], *, pool: str | None = None, **options: Any) -> T:
        return self.pool(pool).transact(work, **options)

    def copy_from(self, sql: str | Statement, source: Any, *, pool: str | None = None, timeout: Timeout = None) -> int:
        return self.pool(pool).copy_from(sql, source, timeout=timeout)

    def copy_to(self, sql: str | Statement, *, pool: str | None = None, timeout: Timeout = None) -> Iterator[bytes]:
        return self.pool(pool).copy_to(sql, timeout=timeout)

    def listen(self, channel: str, *, pool: str | None = None) -> Iterator[dict[str, Any]]:
        return self.pool(pool).listen(channel)

    def health(self, *, timeout: Timeout = None) -> dict[str, Any]:
        """How all of it is, each part asked within a second; of one pool: pool(name).health(). docs/python.md"""
        return self._play(self._health(timeout))

    def _news(self, handle: Any, call: Callable[..., None], number: str) -> Iterator[dict[str, Any]]:
        """What the library tells from time to time, in the order of its numbers, until the client ends."""
        self._check()
        ctx, seen = native.ctx_new(self._listening), 0
        while (news := self._play(steps.news(self, handle, ctx, call, seen))) is not None:
            seen = news[number]
            yield news

    def _play(self, script: steps.Steps[T]) -> T:
        return steps.play(script, self._call)

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
