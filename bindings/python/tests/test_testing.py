# SPDX-License-Identifier: MIT
"""The kit for a service's own tests: no server is asked. (This file needs none.)"""

from __future__ import annotations

import unittest
from typing import Any

from . import support  # noqa: F401 (the path)

import sugarperf
from sugarperf import Statement, breaker, cached, errors, testing

CONTENT = Statement("getContent", "SELECT id, title FROM contents WHERE id = $1", read=True)


class Kit(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.answers = testing.Answers(
            {"getContent": lambda id: [{"id": id, "title": f"title {id}"}] if id < 10 else [], "SELECT 1": [{"one": 1}]}
        )

    async def test_statements_are_answered_by_name_or_text(self) -> None:
        with self.answers.client() as client:
            self.assertEqual(client.query(CONTENT, [7])[0]["title"], "title 7")
            self.assertEqual((client.query(CONTENT, [10]), client.query("SELECT 1").affected), ([], 1))
            with client.transaction() as tx, tx.savepoint():
                self.assertEqual(tx.batch(CONTENT, [[1], [11]]), [[{"id": 1, "title": "title 1"}], []])
            self.assertEqual([row["id"] for row in client.stream(CONTENT, [3])], [3])
            self.assertEqual(client.transact(lambda tx: tx.query("SELECT 1")), [{"one": 1}])
            with self.assertRaisesRegex(AssertionError, "nothing answers 'SELECT 2'"):
                client.query("SELECT 2")
        self.assertEqual(self.answers.asked[0], ("getContent", [7]))
        self.assertRaises(errors.ClosedError, client.query, "SELECT 1")

    async def test_the_cache_is_the_librarys(self) -> None:
        async with self.answers.async_client() as client:
            for _ in range(2):
                self.assertEqual(await client.cache.query("t:content:7:full", CONTENT, [7], cell=True), 7)
                self.assertIsNone(await client.cache.query("t:content:10:full", CONTENT, [10], cell=True))
                self.assertEqual(await client.cache.query("t:content:8:rows", CONTENT, [8]), [{"id": 8, "title": "title 8"}])
            self.assertEqual(len(self.answers.asked), 3)
            await client.cache.invalidate(keys=["t:content:7:full"])
            await client.cache.query("t:content:7:full", CONTENT, [7])
            async with client.transaction() as tx, tx.savepoint():
                await tx.query("SELECT 1")
            self.assertEqual(await client.transact(lambda tx: tx.query("SELECT 1")), [{"one": 1}])
            self.assertEqual([row["id"] async for row in client.stream(CONTENT, [3])], [3])
        self.assertEqual(len(self.answers.asked), 7)

    async def test_values_grow_old_as_the_test_says(self) -> None:
        answers = testing.Answers({}, {"cache.jitter": 0})
        loads = iter(range(1, 10))
        with answers.client() as client:
            async with answers.async_client() as quick:
                for cache in (client.cache, quick.cache):
                    cache.template("t:plain:{id}:full", ttl="1h")
                    cache.template("t:lazy:{id}:full", ttl="1h", stale="1d")
                self.assertEqual(client.cache.get("t:plain:1:full", lambda: next(loads)), 1)
                self.assertEqual(client.cache.get("t:lazy:1:full", lambda: next(loads)), 2)
                self.assertEqual(await quick.cache.get("t:plain:1:full", lambda: next(loads)), 3)
                answers.clock.advance(3_500_000)
                self.assertEqual(client.cache.get("t:plain:1:full", lambda: next(loads)), 1)
                self.assertEqual(await quick.cache.get("t:plain:1:full", lambda: next(loads)), 3)
                answers.clock.advance(200_000)
                self.assertEqual(client.cache.get("t:plain:1:full", lambda: next(loads)), 4)
                self.assertEqual(await quick.cache.get("t:plain:1:full", lambda: next(loads)), 5)
                answers.clock.advance(2 * 86_400_000)
                self.assertEqual(client.cache.get("t:lazy:1:full", lambda: next(loads)), 6)
        answers.clock.advance(1)

    async def test_a_service_meets_failures_at_the_time_that_the_test_says(self) -> None:
        answers = testing.Answers({"getContent": sugarperf.errors.make(sugarperf.native.SP_TIMEOUT, "late")})
        async with answers.async_client() as client:

            @breaker(client, "contents", fallback=None)
            async def content(id: int) -> Any:
                return (await client.query(CONTENT, [id]))[0]

            @cached(client, "t:length:{id}:full")
            async def length(id: int) -> int:
                return len((await content(id))["title"])

            for _ in range(7):
                self.assertIsNone(await content(7))
            self.assertEqual((len(answers.asked), client.breaker("contents").state), (5, "OPEN"))
            answers.answers["getContent"] = [{"title": "seven"}]
            answers.clock.advance(61_000)
            self.assertEqual((await length(7), await length(7)), (5, 5))
            self.assertEqual((len(answers.asked), client.breaker("contents").state), (6, "CLOSED"))
