# SPDX-License-Identifier: MIT
"""Many keys at once: one load for those that nobody has, in both faces."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any

from .support import fresh, settings

import sugarperf


class Both(unittest.IsolatedAsyncioTestCase):
    """Each step on a client of either face, so that one finds what the other stored."""

    async def asyncSetUp(self) -> None:
        self.quick = sugarperf.AsyncClient(settings())
        self.client = sugarperf.Client(settings())
        self.addAsyncCleanup(self.quick.close)
        self.addCleanup(self.client.close)
        self.keys = [fresh("python:many") for _ in range(5)]
        self.asked: list[list[str]] = []

    def load(self, missing: list[str]) -> dict[str, Any]:
        self.asked.append(missing)
        return {key: {"at": self.keys.index(key)} for key in missing if key != self.keys[4]}

    async def load_later(self, missing: list[str]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return self.load(missing)

    async def test_what_nobody_has_is_loaded_at_once_and_once(self) -> None:
        keys, wanted = self.keys, {key: {"at": i} if i < 4 else None for i, key in enumerate(self.keys)}
        self.assertEqual(self.client.cache.get(keys[1], lambda: {"at": 1}), {"at": 1})
        first = await self.quick.cache.get_many([*keys, keys[0]], self.load_later, tags=lambda key: [key])
        self.assertEqual((list(first), first), (keys, wanted))
        self.assertEqual(self.client.cache.get_many(keys, self.load), wanted)
        self.assertEqual(self.asked, [[key for key in keys if key != keys[1]]])
        self.client.cache.invalidate(tags=[keys[2]])
        self.assertEqual(self.client.cache.get_many(keys, self.load), wanted)
        self.assertEqual(self.asked[1:], [[keys[2]]])

    async def test_no_keys_are_no_call(self) -> None:
        self.assertEqual((self.client.cache.get_many([], self.load), await self.quick.cache.get_many([], self.load)), ({}, {}))
        self.assertEqual(self.asked, [])

    async def test_a_loader_that_fails_gives_the_keys_back(self) -> None:
        def fail(missing: list[str]) -> dict[str, Any]:
            raise ValueError("no")

        for _ in range(2):
            self.assertRaises(ValueError, self.client.cache.get_many, self.keys, fail)
            with self.assertRaises(ValueError):
                await self.quick.cache.get_many(self.keys, fail)
        self.assertEqual(len(await self.quick.cache.get_many(self.keys, self.load)), 5)

    async def test_callers_at_once_share_the_loads(self) -> None:
        found = await asyncio.gather(
            *(self.quick.cache.get_many(self.keys[i:] + self.keys[:i], self.load_later) for i in range(5))
        )
        self.assertTrue(all(one == found[0] for one in found))
        asked = [key for keys in self.asked for key in keys]
        self.assertEqual(sorted(asked), sorted(self.keys))

    async def test_one_that_is_cancelled_leaves_nothing_behind(self) -> None:
        for turns in range(12):
            task = asyncio.ensure_future(self.quick.cache.get_many(self.keys, self.load_later))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.assertEqual(len(await self.quick.cache.get_many(self.keys, self.load)), 5)
        self.assertEqual(self.quick._held._ends, {})

    async def test_what_is_stale_stands_in_where_its_refresh_fails(self) -> None:
        def fail(missing: list[str]) -> dict[str, Any]:
            raise ValueError("no")

        clients = (sugarperf.Client(settings()), sugarperf.AsyncClient(settings()))
        self.addCleanup(clients[0].close)
        self.addAsyncCleanup(clients[1].close)
        keys = [f"{key}:stale" for key in self.keys]
        for client in clients:
            client.cache.template("python:many:{id}:stale", ttl="1ms", stale="1h")
        clients[0].cache.get_many(keys, lambda missing: dict.fromkeys(missing, "old"))
        while sugarperf.native.cache_glance(clients[0]._cache, keys[0]) is not None:
            await asyncio.sleep(0.001)
        wanted = dict.fromkeys(keys, "old")
        self.assertEqual(clients[0].cache.get_many(keys, fail), wanted)
        self.assertEqual(await clients[1].cache.get_many(keys, fail), wanted)
        clients[0].cache.delete(keys[1])
        self.assertRaises(ValueError, clients[0].cache.get_many, keys, fail)
        with self.assertRaises(ValueError):
            await clients[1].cache.get_many(keys, fail)
        self.assertEqual(clients[1]._held._ends, {})

    async def test_a_value_that_is_too_large_is_still_its_callers(self) -> None:
        client, key = sugarperf.Client({**settings(), "cache.value_max": "1KB"}), self.keys[0]
        self.addCleanup(client.close)
        for _ in range(2):
            self.asked = []
            self.assertEqual(client.cache.get_many([key], lambda missing: {key: "x" * len(self.load(missing)) * 2000}), {key: "x" * 2000})
            self.assertEqual(self.asked, [[key]])

    async def test_the_timeout_is_that_of_the_whole_call(self) -> None:
        wait, turn = asyncio.Event(), asyncio.Event()

        async def late() -> dict[str, int]:
            turn.set()
            await wait.wait()
            return {"at": 0}

        other = asyncio.ensure_future(self.quick.cache.get(self.keys[0], late))
        await turn.wait()
        with self.assertRaises(sugarperf.errors.TimeoutError):
            await self.quick.cache.get_many(self.keys, self.load_later, timeout=0.2)
        wait.set()
        self.assertEqual(await other, {"at": 0})
        self.assertEqual(len(await self.quick.cache.get_many(self.keys, self.load_later)), 5)


class Kept(unittest.IsolatedAsyncioTestCase):
    """Values that nobody loads, in both faces."""

    async def asyncSetUp(self) -> None:
        self.quick = sugarperf.AsyncClient(settings())
        self.client = sugarperf.Client(settings())
        self.addAsyncCleanup(self.quick.close)
        self.addCleanup(self.client.close)

    def never(self) -> Any:
        self.fail("loaded")

    async def test_what_is_set_is_everybodys_until_it_is_deleted(self) -> None:
        key = fresh("python:set")
        for value in ({"a": [1]}, "text é", b"\0\xff", 0, False, None):
            await self.quick.cache.set(key, value, ttl=60)
            self.assertEqual(await self.quick.cache.get(key, self.never), value)
            # Its own process is told at once, others within the bound.
            while self.client.cache.get(key, self.never) != value:
                pass
            self.client.cache.set(key, [value] if not isinstance(value, bytes) else value, timeout="60s")
            self.assertEqual(self.client.cache.get(key, self.never), [value] if not isinstance(value, bytes) else value)
        self.assertTrue(self.client.cache.touch(key, ttl=60))
        self.client.cache.delete(key)
        self.assertFalse(self.client.cache.touch(key))
        self.assertEqual(self.client.cache.get(key, lambda: "anew"), "anew")
        self.assertTrue(await self.quick.cache.touch(key, ttl=0.5))
        await self.quick.cache.delete(key)
        self.assertFalse(await self.quick.cache.touch(key))
        self.assertEqual(await self.quick.cache.get(key, lambda: "anew"), "anew")

    async def test_what_is_set_wins_over_a_load_that_was_under_way(self) -> None:
        key, wait, turn = fresh("python:set"), asyncio.Event(), asyncio.Event()

        async def late() -> str:
            turn.set()
            await wait.wait()
            return "loaded"

        loading = asyncio.ensure_future(self.quick.cache.get(key, late))
        await turn.wait()
        await self.quick.cache.set(key, "set")
        wait.set()
        self.assertEqual(await loading, "loaded")
        self.assertEqual(await self.quick.cache.get(key, self.never), "set")

    async def test_a_call_that_makes_no_sense_is_refused(self) -> None:
        for wrong in (lambda: 0, {1, 2}):
            self.assertRaises(TypeError, self.client.cache.set, "python:wrong", wrong)
        self.assertRaises(TypeError, self.client.cache.set, 7, "value")
        self.assertRaises(TypeError, self.client.cache.touch, None)
        self.assertRaises(TypeError, self.client.cache.delete, 7)
        self.assertRaises(TypeError, self.client.cache.set, "python:wrong", 1, ttl="soon")
        self.assertRaises(ValueError, self.client.cache.touch, "python:wrong", ttl=-1)
        self.assertRaises(sugarperf.errors.LimitError, self.client.cache.set, "k" * 2000, 1)
        with self.assertRaises(sugarperf.errors.InvalidError):
            await self.quick.cache.delete("")
