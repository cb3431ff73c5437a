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

    async def test_what_a_transaction_invalidates_goes_with_its_commit(self) -> None:
        loads = iter(range(1, 10))
        with self.answers.client() as client:
            key = client.cache.template("t:tx:{id}:full").key(7)
            rules = client.rules("contents(id) -> t:tx:{id}:full")
            value = lambda: client.cache.get(key, lambda: next(loads))  # noqa: E731
            self.assertEqual(value(), 1)
            with self.assertRaisesRegex(RuntimeError, "given up"), client.transaction() as tx:
                tx.invalidate(keys=[key])
                raise RuntimeError("given up")
            self.assertEqual(value(), 1)
            with client.transaction() as tx:
                with self.assertRaises(KeyError), tx.savepoint():
                    tx.invalidate(keys=[key])
                    raise KeyError
                self.assertRaises(TypeError, tx.invalidate, keys="t:tx:7:full")
                self.assertRaises(errors.InvalidError, tx.changed, rules, "contents", "replace")
            self.assertEqual(value(), 1)
            client.transact(lambda tx: tx.invalidate(keys=[key]))
            self.assertEqual(value(), 2)
            with client.acquire() as session, session.transaction() as tx:
                tx.changed(rules, "contents", "update", {"id": 7})
            self.assertEqual(value(), 3)
            self.assertRaises(errors.ClosedError, tx.query, "SELECT 1")
            self.assertRaises(errors.ClosedError, session.query, "SELECT 1")
        async with self.answers.async_client() as client:
            self.assertEqual(await client.cache.get("t:aio:7:full", lambda: 1), 1)
            async with client.pool("other").transaction() as tx, tx.savepoint():
                tx.invalidate(keys=["t:aio:7:full"])
            self.assertEqual(await client.cache.get("t:aio:7:full", lambda: 2), 2)
            async with client.acquire() as session:
                self.assertEqual(await session.query("SELECT 1"), [{"one": 1}])

    async def test_a_copy_is_answered_as_statements_are(self) -> None:
        answers = testing.Answers({"in": 2, "rows": lambda text: [{"line": line} for line in text.split()], "out": ["1,2\n", b"3,4\n"]})
        with answers.client() as client:
            self.assertEqual(client.copy_from("in", ["1,2\n", b"3,4\n"]), 2)
            with client.transaction() as tx:
                self.assertEqual(tx.copy_from("rows", "1\n2\n3\n"), 3)
            self.assertEqual(b"".join(client.copy_to("out")), b"1,2\n3,4\n")
        async with answers.async_client() as client:
            self.assertEqual(await client.copy_from("rows", [b"1\n", "2\n"]), 2)
            self.assertEqual([piece async for piece in client.copy_to("out")], [b"1,2\n", b"3,4\n"])
        self.assertEqual(answers.asked[0], ("in", ["1,2\n3,4\n"]))

    async def test_the_test_sends_the_messages_that_a_service_listens_for(self) -> None:
        with self.answers.client() as client:
            async with self.answers.async_client() as other:
                plain, heard = client.listen("jobs"), other.listen("jobs")
                self.answers.notify("jobs", "one")
                self.answers.notify("none")
                first = {"channel": "jobs", "notice": "listening", "lost": False}
                self.assertEqual([next(plain), await anext(heard)], [first, first])
                self.assertEqual([next(plain)["payload"], (await anext(heard))["payload"]], ["one", "one"])
                client.pool().resize(5)
                self.assertEqual((client.pool_stats()["max"], client.pool().health()["status"]), (5, "healthy"))
                events = other.pool().events()
        self.assertEqual((list(plain), [event async for event in heard], [event async for event in events]), ([], [], []))

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
