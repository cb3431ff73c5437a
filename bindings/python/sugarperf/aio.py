# SPDX-License-Identifier: MIT
"""The asyncio face: every call is a coroutine, nothing blocks the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, AsyncContextManager, TypeVar

from . import codec, errors, given, kept, many, native, params, rows, steps, waits
from .aio_pool import AsyncPool, AsyncSession, AsyncTransaction
from .key import Template
from .parts import Base, targets_of
from .queues import LoopQueue, Start
from .schedule import AsyncSchedule
from .statement import Statement, handle_of
from .steps import Timeout

T = TypeVar("T")
Loader = Callable[[], Awaitable[Any] | Any]


class AsyncCache:
    """Cache-aside over leases: the loader is yours; who loads and who waits is the library's decision."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._refreshes: set[asyncio.Task[Any]] = set()

    def template(self, text: str, *, patterns: Iterable[str] = (), **options: str | int) -> Template:
        """Declares a key template, its TTLs and the patterns under which its keys can be invalidated."""
        return self._client._declare(text, patterns, options)

    async def get(
        self,
        key: str | bytes,
        loader: Loader,
        *,
        ttl: float = 0,
        tags: Iterable[str] = (),
        timeout: Timeout = None,
    ) -> Any:
        """The value of `key`; where there is none, one caller's `loader()` makes it while all others wait.

        `loader` may be a coroutine function or a plain one, which holds up the event loop while it runs. `ttl` in
        seconds; 0: the template's. `timeout` bounds the whole call: a loader that is still under way is cancelled. A value
        above `cache.value_max` (8 MB) is returned and not kept: each call loads it anew.
        """
        client = self._client
        client._check()
        given.function("loader", loader)
        ttl_ms, tags = given.milliseconds("ttl", ttl), given.several("tags", tags)
        known = client._glance(key)
        if known is not None:
            return codec.decode(*known, types=client.types)
        return await self._seek(key, loader, ttl_ms, tags, client._ctx(timeout))

    async def _seek(self, key: str | bytes, loader: Loader, ttl_ms: int, tags: Iterable[str], ctx: Any) -> Any:
        client = self._client
        state, value, lease = await client._call(
            lambda queue, tag: native.cache_lookup_async(client._cache, ctx, key, queue, tag), ctx
        )
        if lease is not None:
            client._held.add(lease, native.lease_release)
        if state == native.SP_LOOKUP_LEASE:
            return await self._load(lease, loader, ttl_ms, tags, ctx)
        if lease is not None:
            self._refresh(lease, loader, ttl_ms, tags)
        return codec.decode(*value, types=client.types)

    def _refresh(self, lease: Any, loader: Loader, ttl_ms: int, tags: Iterable[str]) -> None:
        """Behind the caller's back, so not within its time."""
        task = asyncio.create_task(self._load(lease, loader, ttl_ms, tags, self._client._ctx(None)))
        self._refreshes.add(task)
        task.add_done_callback(self._refreshed)

    def _refreshed(self, task: asyncio.Task[Any]) -> None:
        self._refreshes.discard(task)
        if not task.cancelled():
            task.exception()

    async def _load(self, lease: Any, loader: Loader, ttl_ms: int, tags: Iterable[str], ctx: Any) -> Any:
        client = self._client
        try:
            kind, data = codec.encode(await waits.within(native.ctx_remaining(ctx), loader))
            client._check()
            for tag in tags:
                native.lease_tag(lease, tag)
        except BaseException:
            client._held.release(lease)
            raise
        # A plain function that took longer than it had: its value is there, so others may have it.
        await self._fill(lease, kind, data, ttl_ms, ctx if native.ctx_remaining(ctx) else client._ctx(None))
        return codec.decode(kind, data, types=client.types)

    async def _fill(self, lease: Any, kind: int, data: bytes, ttl_ms: int, ctx: Any) -> None:
        """The value is right for its caller also when it could not be stored (it was invalidated meanwhile, …)."""
        client = self._client
        if not client._held.forget(lease):
            return
        try:
            await client._call(
                lambda queue, tag: native.lease_fill_async(lease, ctx, data, kind, ttl_ms, queue, tag), ctx
            )
        except errors.Error:
            pass

    async def get_many(
        self,
        keys: Iterable[str],
        loader: Callable[[list[str]], Awaitable[Mapping[str, Any]] | Mapping[str, Any]],
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
            if missing := await client._play(look.look_up()):
                look.put(await waits.within(native.ctx_remaining(ctx), lambda: loader(missing)), ttl_ms, tags)
                with contextlib.suppress(errors.Error):
                    await client._call(look.fill, ctx)
        except Exception:
            if not look.give_up():
                raise
        finally:
            look.release()
        for key in wanted:
            if key not in look.found:
                look.found[key] = await self._one(key, loader, ttl_ms, tags, ctx)
        return {key: look.found[key] for key in wanted}

    async def _one(self, key: str, loader: Callable[[list[str]], Any], ttl_ms: int, tags: many.Tags, ctx: Any) -> Any:
        """Another caller was to load it."""

        async def load() -> Any:
            return (await waits.settled(loader([key]))).get(key)

        return await self._seek(key, load, ttl_ms, many.tags_of(tags, key), ctx)

    async def set(self, key: str | bytes, value: Any, *, ttl: float = 0, timeout: Timeout = None) -> None:
        """Stores a value that nobody loads: what is under the key now, in every process, is invalidated.

        Of two that are set at once one remains. `ttl` in seconds; 0: the template's. For values whose home is the cache: where
        it is the database, invalidate(), and let the next reader load.
        """
        await self._client._play(kept.put(self._client, key, value, ttl, timeout))

    async def touch(self, key: str | bytes, *, ttl: float = 0, timeout: Timeout = None) -> bool:
        """What is under the key is fresh for `ttl` seconds from now (0: as its template says). False: there is nothing."""
        return await self._client._play(kept.touch(self._client, key, ttl, timeout))

    async def delete(self, key: str | bytes, *, timeout: Timeout = None) -> None:
        """As invalidate(keys=[key])."""
        await self._client._play(kept.drop(self._client, key, timeout))

    async def query(
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
            return codec.decode(*await client._call(start, ctx), types=client.types)
        except LookupError as error:
            if not isinstance(error, errors.Error):
                raise
            return None

    async def invalidate(
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
        await client._call(
            lambda queue, tag: native.cache_invalidate_async(client._cache, ctx, targets, queue, tag), ctx
        )

    def report(self) -> dict[str, Any]:
        return self._client.cache_report()


class AsyncClient(Base):
    """`settings` are the library's configuration names; `env`: read DATABASE_URL, REDIS_URL and SUGARPERF_… too.

    async with AsyncClient({"pool.url": …, "redis.url": …}) as client:
        rows = await client.query("SELECT title FROM contents WHERE id = $1", ["content-7"])

    It must be closed once nobody uses it, by `async with` or close(): an open one keeps its connections and a thread. One
    that is collected, or open when the interpreter exits, is closed with a ResourceWarning.
    """

    def __init__(
        self, settings: Mapping[str, Any] | None = None, *, env: bool = False, types: rows.Types | None = None
    ) -> None:
        super().__init__(settings, env, types)
        self._named: dict[str, AsyncPool] = {}
        # A loop keeps its queue, by the reader: here both may go.
        self._queues: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[LoopQueue]] = (
            weakref.WeakKeyDictionary()
        )
        self._recent: Callable[[], LoopQueue | None] = lambda: None
        self.cache = AsyncCache(self)

    def _declare(self, text: str, patterns: Iterable[str], options: Mapping[str, Any]) -> Template:
        self._check()
        template = Template(text, patterns=patterns, **options)
        native.cache_declare(self._cache, template._native)
        return template

    def _queue(self) -> LoopQueue:
        """Of the loop that runs."""
        loop = asyncio.get_running_loop()
        queue = self._recent()
        if queue is not None and queue.loop is loop:
            return queue
        known = self._queues.get(loop)
        queue = known() if known is not None else None
        if queue is None:
            queue = LoopQueue(loop, self.types)
            self._queues[loop] = weakref.ref(queue)
        self._recent = weakref.ref(queue)
        return queue

    def _call(self, start: Start, ctx: Any = None) -> Awaitable[Any]:
        return self._queue().submit(start, ctx)

    def schedule(self, name: str, when: str) -> AsyncSchedule:
        """`when`: "hourly", "daily 03:30", "every 90s", "start", or as in cron(5), in UTC; see schedule.py."""
        return AsyncSchedule(self, name, when)

    def pool(self, name: str | None = None) -> AsyncPool:
        """A configured pool, or the default one."""
        name = name or "default"
        if (pool := self._named.get(name)) is None:
            pool = self._named[name] = AsyncPool(self, self._pool(name))
        self._check()
        return pool

    # What pool() has, on the default one or the one that is named.

    async def query(
        self,
        sql: str | Statement,
        values: Sequence[Any] | None = None,
        *,
        pool: str | None = None,
        timeout: Timeout = None,
    ) -> rows.Rows:
        return await self._call(self.pool(pool)._seat.launch(sql, values, timeout))

    async def batch(
        self,
        sql: str | Statement,
        sets: Sequence[Sequence[Any]],
        *,
        pool: str | None = None,
        timeout: Timeout = None,
    ) -> rows.Sets:
        return await self.pool(pool).batch(sql, sets, timeout=timeout)

    def stream(
        self, sql: str | Statement, values: Sequence[Any] | None = None, *, pool: str | None = None, **options: Any
    ) -> AsyncIterator[dict[str, Any]]:
        return self.pool(pool).stream(sql, values, **options)

    def acquire(self, *, pool: str | None = None, timeout: Timeout = None) -> AsyncContextManager[AsyncSession]:
        return self.pool(pool).acquire(timeout=timeout)

    def transaction(self, *, pool: str | None = None, **options: Any) -> AsyncContextManager[AsyncTransaction]:
        return self.pool(pool).transaction(**options)

    async def transact(self, work: Callable[[AsyncTransaction], Awaitable[T] | T], *, pool: str | None = None, **options: Any) -> T:
        return await self.pool(pool).transact(work, **options)

    async def copy_from(self, sql: str | Statement, source: Any, *, pool: str | None = None, timeout: Timeout = None) -> int:
        return await self.pool(pool).copy_from(sql, source, timeout=timeout)

    def copy_to(self, sql: str | Statement, *, pool: str | None = None, timeout: Timeout = None) -> AsyncIterator[bytes]:
        return self.pool(pool).copy_to(sql, timeout=timeout)

    def listen(self, channel: str, *, pool: str | None = None) -> AsyncIterator[dict[str, Any]]:
        return self.pool(pool).listen(channel)

    async def health(self, *, timeout: Timeout = None) -> dict[str, Any]:
        """How all of it is, each part asked within a second; of one pool: pool(name).health(). docs/python.md"""
        return await self._play(self._health(timeout))

    async def _news(self, handle: Any, call: Callable[..., None], number: str) -> AsyncIterator[dict[str, Any]]:
        """What the library tells from time to time, in the order of its numbers, until the client ends."""
        self._check()
        ctx, seen = native.ctx_new(self._listening), 0
        while (news := await self._play(steps.news(self, handle, ctx, call, seen))) is not None:
            seen = news[number]
            yield news

    async def _play(self, script: steps.Steps[T]) -> T:
        try:
            ctx, start = next(script)
            while True:
                try:
                    payload = await self._call(start, ctx)
                except BaseException as error:
                    ctx, start = script.throw(error)
                else:
                    ctx, start = script.send(payload)
        except StopIteration as done:
            return done.value

    async def close(self, *, timeout: float | None = None) -> None:
        """No new work; what waits ends with ClosedError. With `timeout` (seconds), what still runs then is cancelled."""
        timeout_ms = None if timeout is None else given.milliseconds("timeout", timeout)
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._end, timeout_ms)
        for known in list(self._queues.values()):
            if (queue := known()) is not None:
                queue.close()

    def _abandon(self, at_exit: bool = False) -> None:
        super()._abandon(at_exit)
        for loop, known in list(self._queues.items()):
            if (queue := known()) is not None:
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(queue.close)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
