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
