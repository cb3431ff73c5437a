# SPDX-License-Identifier: MIT
"""For a service's own unit tests: a client whose statements are answered by the test, without any server.

    answers = testing.Answers({"getContent": [{"id": 7, "title": "seven"}], "record": lambda user, kind: []})
    async with answers.async_client() as client:
        assert await service.title(client, 7) == "seven"
    assert answers.asked == [("getContent", [7])]

COPY is answered as statements are, and answers.notify("jobs", "one") is heard by who listens. What a transaction invalidates goes with
its commit; else nothing is taken back. Cache, invalidation, decorators, policies and the profiler are the library's own, in this
process; breakers, and what the cache keeps, go by a clock that the test moves: answers.clock.advance(60_000).
"""

from __future__ import annotations

import asyncio
import queue
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from . import errors, given, native, rows, steps, waits
from .aio import AsyncCache, AsyncClient
from .aio_pool import AsyncPool
from .changes import Rules, row_of
from .client import Cache, Client
from .guard import Breaker, Clock
from .parts import Base, targets_of
from .pool import Pool
from .statement import Statement

Told = Sequence[Mapping[str, Any]] | Sequence[str | bytes] | int
Answer = Told | Exception | Callable[..., Told]
Sql = str | Statement
Values = Sequence[Any] | None
C = TypeVar("C", bound=Base)


def rows_of(found: Sequence[Mapping[str, Any]]) -> rows.Rows:
    """As a statement answers: `affected` is their number."""
    made = rows.Rows(dict(row) for row in found)
    made.fields = [(name, 0) for name in (made[0] if made else ())]
    made.affected, made.command = len(made), f"SELECT {len(made)}"
    return made


class _Clock(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.clients: weakref.WeakSet[Base] = weakref.WeakSet()

    def advance(self, ms: int) -> None:
        super().advance(ms)
        for client in self.clients:
            if not client.closed:
                native.cache_age(client._cache, ms)


class Answers:
    """`answers` by a statement's name, or its text where it is plain text: rows, an exception, or a function of the values; of a COPY
    the number of rows, or pieces of text.

    `asked`: what was asked, in order, as (name or text, values).
    """

    def __init__(self, answers: Mapping[str, Answer], settings: Mapping[str, Any] | None = None) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, list[Any]]] = []
        self.clock = _Clock()
        self._settings = dict(settings or {})
        self._breakers: dict[str, Breaker] = {}
        self._ears: list[tuple[str, Any]] = []

    def client(self) -> Client:
        return self._followed(_Client(self, self._settings))

    def async_client(self) -> AsyncClient:
        return self._followed(_AsyncClient(self, self._settings))

    def _followed(self, client: C) -> C:
        self.clock.clients.add(client)
        return client

    def told(self, sql: Sql, values: Values) -> Any:
        """What a statement is answered by, as the test gave it."""
        name, given = sql.name if isinstance(sql, Statement) else sql, list(values or ())
        self.asked.append((name, given))
        if name not in self.answers:
            raise AssertionError(f"nothing answers {name!r}")
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer(*given) if callable(answer) else answer

    def answer(self, sql: Sql, values: Values) -> rows.Rows:
        return rows_of(self.told(sql, values))

    def copied(self, sql: Sql, source: Iterable[Any]) -> int:
        """Asked with all the text as its value; answered by the number of rows, or rows."""
        found = self.told(sql, [b"".join(_bytes(piece) for piece in source).decode()])
        return found if isinstance(found, int) else len(found)

    def pieces(self, sql: Sql) -> Iterator[bytes]:
        return map(_bytes, self.told(sql, ()))

    def listen(self, channel: str, ear: Any) -> Any:
        self._ears.append((channel, ear))
        ear.put_nowait({"channel": channel, "notice": "listening", "lost": False})
        return ear

    def notify(self, channel: str, payload: str = "") -> None:
        """As NOTIFY: to all that listen."""
        for heard, ear in self._ears:
            if heard == channel:
                ear.put_nowait({"channel": channel, "payload": payload, "pid": 0})

    def cell(self, sql: Sql, values: Values) -> Any:
        found = self.answer(sql, values)
        return next(iter(found[0].values())) if found else None

    def loaded(self, sql: Sql, values: Values, cell: bool) -> Any:
        return self.cell(sql, values) if cell else self.answer(sql, values)

    def sets(self, sql: Sql, sets: Sequence[Sequence[Any]]) -> rows.Sets:
        return rows.sets_of([self.answer(sql, values) for values in sets])

    def breaker(self, name: str) -> Breaker:
        if name not in self._breakers:
            self._breakers[name] = Breaker.create(self._settings, name=name, clock=self.clock)
        return self._breakers[name]


class _Cache(Cache):
    def query(self, key: Any, sql: Sql, values: Values = None, *, cell: bool = False, **_: Any) -> Any:
        return self.get(key, lambda: self._client.answers.loaded(sql, values, cell))  # type: ignore[attr-defined]


class _AsyncCache(AsyncCache):
    async def query(self, key: Any, sql: Sql, values: Values = None, *, cell: bool = False, **_: Any) -> Any:
        return await self.get(key, lambda: self._client.answers.loaded(sql, values, cell))  # type: ignore[attr-defined]


def _bytes(piece: Any) -> bytes:
    return piece.encode() if isinstance(piece, str) else bytes(piece)


class _Seat:
    """What a pool, a session and a transaction have in common, in both faces."""

    _client: Any

    def __init__(self, client: Any) -> None:
        self._client = client
        self._over = False

    @property
    def _answers(self) -> Answers:
        self._client._check()
        if self._over:
            raise errors.make(native.SP_CLOSED, "the session was given back")
        answers: Answers = self._client.answers
        return answers


class _Commits(_Seat):
    """What the commit invalidates. Savepoints are nested bodies; nothing else is taken back, as nothing was written."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self._behind: list[Callable[[], Any]] = []

    def invalidate(self, *, keys: Iterable[Any] = (), tags: Iterable[Any] = (), patterns: Iterable[Any] = ()) -> None:
        wanted = {"keys": keys, "tags": tags, "patterns": patterns}
        said = {name: tuple(given.several(name, some)) for name, some in wanted.items()}
        targets_of(**said)
        self._behind.append(lambda: self._client.cache.invalidate(**said))

    def changed(
        self, rules: Rules, table: str, change: str, row: Mapping[str, Any] = {}, was: Mapping[str, Any] = {}
    ) -> None:
        row_of(table, change, row, was)
        self._behind.append(lambda: rules.invalidate(table, change, dict(row), dict(was)))

    @contextmanager
    def _nested(self) -> Iterator[None]:
        before = len(self._behind)
        try:
            yield
        except BaseException:
            del self._behind[before:]
            raise


class _Blocking(_Seat):
    def query(self, sql: Sql, values: Values = None, **_: Any) -> rows.Rows:
        return self._answers.answer(sql, values)

    def batch(self, sql: Sql, sets: Sequence[Sequence[Any]], **_: Any) -> rows.Sets:
        return self._answers.sets(sql, sets)

    def copy_from(self, sql: Sql, source: Any, **_: Any) -> int:
        return self._answers.copied(sql, steps.pieces(source))

    def copy_to(self, sql: Sql, **_: Any) -> Iterator[bytes]:
        yield from self._answers.pieces(sql)

    @contextmanager
    def transaction(self, **_: Any) -> Iterator[Any]:
        made = _BlockingTransaction(self._client)
        try:
            yield made
            for invalidate in made._behind:
                invalidate()
        finally:
            made._over = True


class _BlockingTransaction(_Commits, _Blocking):
    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with self._nested():
            yield


class _Awaited(_Seat):
    async def query(self, sql: Sql, values: Values = None, **_: Any) -> rows.Rows:
        return self._answers.answer(sql, values)

    async def batch(self, sql: Sql, sets: Sequence[Sequence[Any]], **_: Any) -> rows.Sets:
        return self._answers.sets(sql, sets)

    async def copy_from(self, sql: Sql, source: Any, **_: Any) -> int:
        return self._answers.copied(sql, [piece async for piece in waits.each(steps.pieces(source))])

    async def copy_to(self, sql: Sql, **_: Any) -> AsyncIterator[bytes]:
        for piece in self._answers.pieces(sql):
            yield piece

    @asynccontextmanager
    async def transaction(self, **_: Any) -> AsyncIterator[Any]:
        made = _AwaitedTransaction(self._client)
        try:
            yield made
            for invalidate in made._behind:
                await invalidate()
        finally:
            made._over = True


class _AwaitedTransaction(_Commits, _Awaited):
    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        with self._nested():
            yield


class _Calm(_Seat):
    """What a pool tells of itself. Nothing happens here."""

    _max = 0

    def set_password(self, password: str | bytes | None) -> None:
        self._client._check()

    def resize(self, max: int) -> None:
        self._client._check()
        self._max = max

    def stats(self) -> dict[str, int]:
        self._client._check()
        return {"active": 0, "idle": 0, "waiting": 0, "max": self._max}

    def _healthy(self) -> dict[str, Any]:
        return {"status": "healthy", "database": "none", "poolMetrics": self.stats()}


class _Pool(_Calm, _Blocking, Pool):
    def stream(self, sql: Sql, values: Values = None, **_: Any) -> Iterator[dict[str, Any]]:
        yield from self.query(sql, values)

    @contextmanager
    def acquire(self, **_: Any) -> Iterator[Any]:
        made = _Blocking(self._client)
        try:
            yield made
        finally:
            made._over = True

    def transact(self, work: Callable[[Any], Any], **_: Any) -> Any:
        with self.transaction() as made:
            return waits.worked(work(made))

    def listen(self, channel: str) -> Iterator[dict[str, Any]]:
        return self._heard(self._answers.listen(channel, self._client._ear()))

    def events(self) -> Iterator[dict[str, Any]]:
        return self._heard(self._client._ear())

    refusals = events

    def _heard(self, ear: queue.SimpleQueue[Any]) -> Iterator[dict[str, Any]]:
        while (message := ear.get()) is not None:
            yield message

    def health(self) -> dict[str, Any]:
        return self._healthy()


class _AsyncPool(_Calm, _Awaited, AsyncPool):
    async def stream(self, sql: Sql, values: Values = None, **_: Any) -> AsyncIterator[dict[str, Any]]:
        for row in await self.query(sql, values):
            yield row

    @asynccontextmanager
    async def acquire(self, **_: Any) -> AsyncIterator[Any]:
        made = _Awaited(self._client)
        try:
            yield made
        finally:
            made._over = True

    async def transact(self, work: Callable[[Any], Any], **_: Any) -> Any:
        async with self.transaction() as made:
            return await waits.settled(work(made))

    def listen(self, channel: str) -> AsyncIterator[dict[str, Any]]:
        return self._heard(self._answers.listen(channel, self._client._ear()))

    def events(self) -> AsyncIterator[dict[str, Any]]:
        return self._heard(self._client._ear())

    refusals = events

    async def _heard(self, ear: asyncio.Queue[Any]) -> AsyncIterator[dict[str, Any]]:
        while (message := await ear.get()) is not None:
            yield message

    async def health(self) -> dict[str, Any]:
        return self._healthy()


class _Client(Client):
    def __init__(self, answers: Answers, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.answers = answers
        self.cache = _Cache(self)
        self.breaker = answers.breaker  # type: ignore[method-assign]
        self._ears: list[queue.SimpleQueue[Any]] = []

    def pool(self, name: str | None = None) -> Pool:
        self._check()
        return self._pools.setdefault(name or "default", _Pool(self))

    def _ear(self) -> queue.SimpleQueue[Any]:
        self._check()
        self._ears.append(queue.SimpleQueue())
        return self._ears[-1]

    def close(self, *, timeout: float | None = None) -> None:
        super().close(timeout=timeout)
        for ear in self._ears:
            ear.put_nowait(None)


class _AsyncClient(AsyncClient):
    def __init__(self, answers: Answers, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.answers = answers
        self.cache = _AsyncCache(self)
        self.breaker = answers.breaker  # type: ignore[method-assign]
        self._ears: list[asyncio.Queue[Any]] = []

    def pool(self, name: str | None = None) -> AsyncPool:
        self._check()
        return self._named.setdefault(name or "default", _AsyncPool(self))

    async def query(self, sql: Sql, values: Values = None, *, pool: str | None = None, **_: Any) -> rows.Rows:
        return await self.pool(pool).query(sql, values)

    def _ear(self) -> asyncio.Queue[Any]:
        self._check()
        self._ears.append(asyncio.Queue())
        return self._ears[-1]

    async def close(self, *, timeout: float | None = None) -> None:
        await super().close(timeout=timeout)
        for ear in self._ears:
            ear.put_nowait(None)
