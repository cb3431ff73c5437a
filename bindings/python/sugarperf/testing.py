# SPDX-License-Identifier: MIT
"""For a service's own unit tests: a client whose statements are answered by the test, without any server.

    answers = testing.Answers({"getContent": [{"id": 7, "title": "seven"}], "record": lambda user, kind: []})
    async with answers.async_client() as client:
        assert await service.title(client, 7) == "seven"
    assert answers.asked == [("getContent", [7])]

Cache, invalidation, decorators, policies and the profiler are the library's own, in this process; breakers, and what the cache keeps,
go by a clock that the test moves: answers.clock.advance(60_000).
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from . import native, rows
from .aio import AsyncCache, AsyncClient
from .client import Cache, Client
from .guard import Breaker, Clock
from .parts import Base
from .statement import Statement

Answer = Sequence[Mapping[str, Any]] | Exception | Callable[..., Sequence[Mapping[str, Any]]]
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
    """`answers` by a statement's name, or its text where it is plain text: rows, an exception, or a function of the values.

    `asked`: what was asked, in order, as (name or text, values).
    """

    def __init__(self, answers: Mapping[str, Answer], settings: Mapping[str, Any] | None = None) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, list[Any]]] = []
        self.clock = _Clock()
        self._settings = dict(settings or {})
        self._breakers: dict[str, Breaker] = {}

    def client(self) -> Client:
        return self._followed(_Client(self, self._settings))

    def async_client(self) -> AsyncClient:
        return self._followed(_AsyncClient(self, self._settings))

    def _followed(self, client: C) -> C:
        self.clock.clients.add(client)
        return client

    def answer(self, sql: Sql, values: Values) -> rows.Rows:
        name, given = sql.name if isinstance(sql, Statement) else sql, list(values or ())
        self.asked.append((name, given))
        if name not in self.answers:
            raise AssertionError(f"nothing answers {name!r}")
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return rows_of(answer(*given) if callable(answer) else answer)

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


class _Transaction:
    """Savepoints are nested bodies; nothing is taken back, as nothing was written."""

    def __init__(self, client: Any) -> None:
        self.query, self.batch = client.query, client.batch


class _Blocking(_Transaction):
    @contextmanager
    def savepoint(self) -> Iterator[None]:
        yield


class _Awaited(_Transaction):
    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        yield


class _Client(Client):
    def __init__(self, answers: Answers, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.answers = answers
        self.cache = _Cache(self)
        self.breaker = answers.breaker  # type: ignore[method-assign]

    def query(self, sql: Sql, values: Values = None, **_: Any) -> rows.Rows:
        self._check()
        return self.answers.answer(sql, values)

    def batch(self, sql: Sql, sets: Sequence[Sequence[Any]], **_: Any) -> rows.Sets:
        self._check()
        return self.answers.sets(sql, sets)

    def stream(self, sql: Sql, values: Values = None, **_: Any) -> Iterator[dict[str, Any]]:
        yield from self.query(sql, values)

    @contextmanager
    def transaction(self, **_: Any) -> Iterator[Any]:
        self._check()
        yield _Blocking(self)

    def transact(self, work: Callable[[Any], Any], **_: Any) -> Any:
        return work(_Blocking(self))


class _AsyncClient(AsyncClient):
    def __init__(self, answers: Answers, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.answers = answers
        self.cache = _AsyncCache(self)
        self.breaker = answers.breaker  # type: ignore[method-assign]

    async def query(self, sql: Sql, values: Values = None, **_: Any) -> rows.Rows:
        self._check()
        return self.answers.answer(sql, values)

    async def batch(self, sql: Sql, sets: Sequence[Sequence[Any]], **_: Any) -> rows.Sets:
        self._check()
        return self.answers.sets(sql, sets)

    async def stream(self, sql: Sql, values: Values = None, **_: Any) -> AsyncIterator[dict[str, Any]]:
        for row in await self.query(sql, values):
            yield row

    @asynccontextmanager
    async def transaction(self, **_: Any) -> AsyncIterator[Any]:
        self._check()
        yield _Awaited(self)

    async def transact(self, work: Callable[[Any], Any], **_: Any) -> Any:
        return await work(_Awaited(self))
