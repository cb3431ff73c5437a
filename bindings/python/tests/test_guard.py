# SPDX-License-Identifier: MIT
"""Breakers and policies behave as in every other language: the vectors, and both faces."""

import asyncio
import json
import os
import threading
import unittest

import sugarperf
from sugarperf import Breaker, Clock, errors

from . import support

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
_STATES = {"C": "CLOSED", "O": "OPEN", "H": "HALF_OPEN", "X": "FORCED_OPEN", "D": "DISABLED", "M": "METRICS_ONLY"}
_OUTCOMES = {"s": "success", "f": "failure", "i": "ignored", "z": "success", "y": "failure"}
_LATE = {"S": "success", "F": "failure", "I": "ignored", "Z": "success"}
_SLOW = 2.0


class Play:
    """The words and letters of tests/unit/breaker_play.h."""

    def __init__(self, test: unittest.TestCase, config: dict[str, str]) -> None:
        settings = {"breaker.pay.open_time": "1s", "breaker.pay.slow": "1s"}
        settings.update({f"breaker.pay.{name}": value for name, value in config.items()})
        self.test, self.clock = test, Clock()
        self.breaker = Breaker.create(settings, name="pay", clock=self.clock)
        self.kept: list[int] = []
        self.last = 0

    def step(self, letter: str) -> None:
        test, breaker = self.test, self.breaker
        if letter in _OUTCOMES:
            permit = breaker.acquire()
            test.assertNotEqual(permit, 0)
            breaker.record(permit, _OUTCOMES[letter], _SLOW if letter in "zy" else 0)
        elif letter in _LATE:
            self.last = self.kept.pop(0)
            breaker.record(self.last, _LATE[letter], _SLOW if letter == "Z" else 0)
        elif letter in _STATES:
            test.assertEqual(breaker.state, _STATES[letter])
        elif letter == "a":
            self.kept.append(breaker.acquire())
            test.assertNotEqual(self.kept[-1], 0)
        elif letter == "!":
            test.assertEqual(breaker.acquire(), 0)
        elif letter == "r":
            self.last = self.kept.pop(0)
            breaker.release(self.last)
        elif letter == "d":
            breaker.record(self.last, "failure")
        elif letter == "l":
            self.kept.pop(0)
        elif letter == "^":
            breaker.reset()
        else:
            self.clock.advance(int(letter) * 100)

    def word(self, word: str) -> None:
        kind, rest = word[0], word[1:]
        if kind == "+":
            self.clock.advance(int(rest))
        elif kind == "@":
            self.test.assertEqual(self.breaker.next_attempt, int(rest))
        elif kind == "#":
            self.test.assertEqual(self.breaker.failures, int(rest))
        elif kind == "~":
            self.test.assertEqual(self.breaker.in_flight, int(rest))
        elif kind == ">":
            self.breaker.force(_STATES[rest])
        else:
            times, _, letters = word.rpartition("*")
            for letter in letters * int(times or 1):
                self.step(letter)


class Alone(unittest.TestCase):
    def test_the_breaker_does_what_the_vectors_say(self) -> None:
        with open(os.path.join(_ROOT, "tests", "vectors", "breaker.json"), encoding="utf-8") as file:
            vectors = json.load(file)
        self.assertGreater(len(vectors), 90)
        for vector in vectors:
            play = Play(self, vector["config"])
            for number, word in enumerate(vector["steps"].split()):
                with self.subTest(of=vector["of"], name=vector["name"], word=f"{number}: {word}"):
                    play.word(word)

    def test_force_reset_and_stats(self) -> None:
        breaker = Breaker.create()
        breaker.force("FORCED_OPEN")
        self.assertEqual((breaker.state, breaker.acquire()), ("FORCED_OPEN", 0))
        with self.assertRaises(errors.OpenError):
            breaker.run(self.fail)
        breaker.reset()
        breaker.record(breaker.acquire(), "success")
        with self.assertRaises(errors.InvalidError):
            breaker.force("AJAR")
        self.assertEqual(breaker.next_change(1)["previous"], "FORCED_OPEN")
        stats = breaker.stats()
        self.assertEqual((stats["successful"], stats["rejected"], stats["changes"]), (1, 2, 2))
        self.assertIsNone(stats["failureRate"])


class Blocking(unittest.TestCase):
    def open(self, **settings: object) -> sugarperf.Client:
        client = sugarperf.Client(support.settings(**settings))
        self.addCleanup(client.close)
        return client

    def test_changes_come_as_they_happen_and_end_with_the_client(self) -> None:
        client = self.open()
        breaker = client.breaker("watched")
        breaker.force("OPEN")
        breaker.force("DISABLED")
        self.assertEqual(
            breaker.next_change(0), {"change": 2, "state": "DISABLED", "previous": "OPEN", "missed": 1}
        )
        ended = []

        def wait() -> None:
            try:
                breaker.next_change(2)
            except errors.Error as error:
                ended.append(error.code)

        thread = threading.Thread(target=wait)
        thread.start()
        client.close()
        thread.join()
        self.assertEqual(ended, ["SP_CLOSED"])

    def test_a_policy_retries_and_answers_with_its_fallback(self) -> None:
        client = self.open(
            **{"policy.flaky.attempts": 3, "policy.flaky.backoff": "1ms", "policy.flaky.breaker": "flaky"}
        )
        policy = client.policy("flaky")
        numbers = []

        def third_time(attempt: sugarperf.Attempt) -> str:
            numbers.append(attempt.number)
            if attempt.number < 3:
                raise ConnectionError("down")
            return "up"

        def down(_: sugarperf.Attempt) -> str:
            raise ConnectionError("down")

        self.assertEqual((policy.run(third_time), numbers), ("up", [1, 2, 3]))
        with self.assertRaises(ConnectionError):
            policy.run(down)
        self.assertEqual(client.breaker("flaky").failures, 3)
        self.assertEqual(policy.run(down, lambda error: error.code), "SP_OPEN")
        self.assertEqual(policy.stats()["retried"], 6)
        client.breaker("flaky").reset()
        with self.assertRaises(ConnectionError):
            policy.run(down, retry=lambda error: False)

    def test_a_policy_bounds_who_runs_and_waits(self) -> None:
        policy = self.open(**{"policy.narrow.concurrency": 1, "policy.short.timeout": "50ms"}).policy("narrow")

        def inside(_: sugarperf.Attempt) -> None:
            with self.assertRaises(errors.FullError):
                policy.run(lambda attempt: self.fail("was called"))

        policy.run(inside)
        self.assertEqual(policy.stats()["running"], 0)

    def test_a_pool_s_breaker_refuses_before_anything_is_sent(self) -> None:
        client = self.open(
            **{"pool.url": "postgresql://app@127.0.0.1:1/db", "pool.breaker": True, "breaker.pool.failures": 2}
        )
        for _ in range(2):
            with self.assertRaises(errors.UnavailableError):
                client.query("SELECT 1")
        with self.assertRaises(errors.OpenError):
            client.query("SELECT 1")
        self.assertEqual(client.breaker("pool@127.0.0.1:1/primary").state, "OPEN")


class Async(unittest.IsolatedAsyncioTestCase):
    async def test_policies_and_changes(self) -> None:
        settings = {"policy.short.timeout": "50ms", "policy.narrow.concurrency": 1, "policy.narrow.waiting": 1}
        async with sugarperf.AsyncClient(support.settings(**settings)) as client:
            with self.assertRaises(errors.TimeoutError):
                await client.policy("short").run_async(lambda attempt: asyncio.sleep(60))
            gate, order = asyncio.Event(), []
            narrow = client.policy("narrow")

            async def first(_: sugarperf.Attempt) -> None:
                await gate.wait()
                order.append("first")

            async def second(_: sugarperf.Attempt) -> None:
                order.append("second")

            tasks = [asyncio.create_task(narrow.run_async(work)) for work in (first, second)]
            while narrow.stats()["waiting"] == 0:
                await asyncio.sleep(0)
            gate.set()
            await asyncio.gather(*tasks)
            self.assertEqual(order, ["first", "second"])
            breaker = client.breaker("watched")
            change = asyncio.create_task(breaker.next_change_async(breaker.changes))
            await asyncio.sleep(0)
            breaker.force("OPEN")
            self.assertEqual((await change)["state"], "OPEN")
