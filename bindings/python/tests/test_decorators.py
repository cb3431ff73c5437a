# SPDX-License-Identifier: MIT
"""@cached, @profiled and @breaker, over both faces."""

from __future__ import annotations

import asyncio
import unittest
import uuid
from typing import Any

from .support import settings

import sugarperf
from sugarperf import breaker, cached, profiled


class Blocking(unittest.TestCase):
    def setUp(self) -> None:
        self.client = sugarperf.Client(settings())
        self.addCleanup(self.client.close)
        self.entity = f"e{uuid.uuid4().hex}"
        self.calls: list[Any] = []

    def test_a_call_is_made_once_for_its_arguments(self) -> None:
        @cached(lambda: self.client, f"py:{self.entity}:{{user_id}}:{{limit}}", ttl="1h")
        def recommend(limit: int, *, user_id: str, trace: str = "") -> dict[str, Any]:
            """What it is for."""
            self.calls.append((user_id, limit, trace))
            return {"user": user_id, "limit": limit}

        self.assertEqual(recommend.__doc__, "What it is for.")
        for trace in ("first", "second"):
            self.assertEqual(recommend(10, user_id="a:b", trace=trace), {"user": "a:b", "limit": 10})
        recommend(20, user_id="a:b")
        self.assertEqual(self.calls, [("a:b", 10, "first"), ("a:b", 20, "")])
        self.client.cache.invalidate(keys=[recommend.key(10, user_id="a:b")])  # type: ignore[attr-defined]
        recommend(user_id="a:b", limit=10)
        self.assertEqual(len(self.calls), 3)

    def test_methods_share_by_what_the_key_names(self) -> None:
        calls, client = self.calls, self.client

        class Service:
            @cached(client, f"py:{self.entity}:{{id}}:full", tags=lambda self, id: [f"content-{id}"])
            def content(self, id: int) -> int:
                calls.append(id)
                return id

        self.assertEqual((Service().content(7), Service().content(7), calls), (7, 7, [7]))
        client.cache.invalidate(tags=["content-7"])
        self.assertEqual((Service().content(7), calls), (7, [7, 7]))

    def test_tags_see_the_defaults_that_a_call_leaves_out(self) -> None:
        told: list[Any] = []

        def tags(user_id: str, limit: int) -> list[str]:
            told.append((user_id, limit))
            return [f"user-{user_id}"]

        @cached(self.client, f"py:{self.entity}:{{user_id}}:{{limit}}", tags=tags)
        def recommend(user_id: str, limit: int = 10) -> int:
            return limit

        @cached(self.client, f"py:{self.entity}:{{user_id}}:own", tags=lambda user_id: [f"user-{user_id}"])
        def own(user_id: str, limit: int = 10) -> int:
            return limit

        self.assertEqual((recommend("a"), recommend("a", 20), recommend("a", limit=30), own("a")), (10, 20, 30, 10))
        self.assertEqual(told, [("a", 10), ("a", 20), ("a", 30)])

    def test_a_key_that_no_argument_fills_is_refused_at_once(self) -> None:
        with self.assertRaisesRegex(TypeError, r"content\(\) has no parameter userId"):

            @cached(self.client, "py:content:{userId}:full")
            def content(user_id: str) -> None: ...

    def test_the_face_must_be_that_of_the_function(self) -> None:
        @cached(self.client, f"py:{self.entity}:one:full")
        async def load() -> int:
            return 1

        with self.assertRaisesRegex(TypeError, "needs an AsyncClient"):
            asyncio.run(load())

    def test_work_is_recorded_under_its_name(self) -> None:
        @profiled(self.client, f"{self.entity}.named")
        def named() -> int:
            return 1

        @profiled(self.client)
        def failing() -> None:
            raise ValueError

        self.assertEqual(named(), 1)
        self.assertRaises(ValueError, failing)
        self.assertEqual(self.client.profiler.stats(f"{self.entity}.named")["count"], 1)
        self.assertEqual(self.client.profiler.stats(failing.__qualname__)["errors"], 1)

    def test_a_breaker_opens_and_its_fallback_answers(self) -> None:
        @breaker(self.client, self.entity)
        def broken() -> None:
            self.calls.append(1)
            raise ConnectionError

        @breaker(self.client, self.entity, fallback=lambda error: type(error).__name__)
        def covered() -> str:
            return "made"

        for _ in range(5):
            self.assertRaises(ConnectionError, broken)
        self.assertRaises(sugarperf.errors.OpenError, broken)
        self.assertEqual((len(self.calls), covered()), (5, "OpenError"))


class Asyncio(unittest.IsolatedAsyncioTestCase):
    async def test_all_three_around_a_coroutine_function(self) -> None:
        entity, calls = f"e{uuid.uuid4().hex}", []
        async with sugarperf.AsyncClient(settings()) as client:

            @cached(client, f"py:{entity}:{{id}}:full", ttl="1h")
            @profiled(client, entity)
            @breaker(client, entity, fallback=None)
            async def load(id: int) -> Any:
                calls.append(id)
                return (await client.query("SELECT $1::int4 AS id", [id]))[0]

            self.assertEqual(await asyncio.gather(*(load(7) for _ in range(20))), [{"id": 7}] * 20)
            self.assertEqual((calls, client.profiler.stats(entity)["count"]), ([7], 1))

    async def test_a_failure_passes_and_is_not_kept(self) -> None:
        calls: list[int] = []
        async with sugarperf.AsyncClient(settings()) as client:

            @cached(client, f"py:e{uuid.uuid4().hex}:one:full")
            async def load() -> int:
                calls.append(1)
                if len(calls) == 1:
                    raise ValueError("no")
                return 1

            with self.assertRaises(ValueError):
                await load()
            self.assertEqual(await load(), 1)
