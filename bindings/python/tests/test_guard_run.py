# SPDX-License-Identifier: MIT
"""What run() and run_async() record, give back, retry and answer, however a call ends."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import unittest
import unittest.mock
from collections.abc import Callable
from typing import Any

from . import support

import sugarperf
from sugarperf import Breaker, Clock, errors, waits


def _raise(error: BaseException) -> Callable[..., Any]:
    def work(*_: Any) -> Any:
        raise error

    return work


def _counts(breaker: Breaker) -> tuple[int, int, int]:
    stats = breaker.stats()
    return stats["successful"], stats["failed"], stats["ignored"]


def _duplicate() -> errors.SqlError:
    return errors.SqlError("duplicate key", "23505")


class Unreadable(errors.Error):
    """Raises when it is asked what it is."""

    def __init__(self) -> None:
        super().__init__("down")

    @property
    def code(self) -> str:  # type: ignore[override]
        raise RuntimeError("no code")


class Failing:
    """Work that fails as often as there are errors, and counts its attempts."""

    def __init__(self, *given: Exception) -> None:
        self.left, self.attempts = list(given), 0

    def __call__(self, *_: Any) -> str:
        self.attempts += 1
        if self.left:
            raise self.left.pop(0)
        return "up"


class Both(unittest.IsolatedAsyncioTestCase):
    """Everything that run() and run_async() have in common."""

    def faces(self, **settings: Any) -> list[tuple[str, sugarperf.Client | sugarperf.AsyncClient]]:
        made = support.settings(**settings)
        client, quick = sugarperf.Client(made), sugarperf.AsyncClient(made)
        self.addCleanup(client.close)
        self.addAsyncCleanup(quick.close)
        return [("run", client), ("run_async", quick)]

    async def run_in(self, way: str, of: Any, *args: Any, **options: Any) -> Any:
        return await waits.settled(getattr(of, way)(*args, **options))

    async def test_a_fallback_is_a_value_or_a_function(self) -> None:
        for way, client in self.faces():
            breaker, policy = client.breaker("values"), client.policy("values")
            down = _raise(ConnectionError("down"))
            for of in (breaker, policy):
                for fallback, answer in (("value", "value"), (None, None), (str, "down"), (lambda error: error.args, ("down",))):
                    with self.subTest(way, of=of, answer=answer):
                        self.assertEqual(await self.run_in(way, of, down, fallback), answer)
                with self.assertRaises(ConnectionError):
                    await self.run_in(way, of, down)
            breaker.force("OPEN")
            self.assertIsNone(await self.run_in(way, breaker, self.fail, None))
            self.assertEqual(await self.run_in(way, breaker, self.fail, "value"), "value")
            with self.assertRaises(errors.OpenError) as caught:
                await self.run_in(way, breaker, self.fail)
            self.assertTrue(caught.exception.retryable)

    async def test_an_error_that_cannot_be_read_is_a_failure_and_keeps_no_permit(self) -> None:
        for way, client in self.faces():
            breaker = client.breaker("unreadable")
            for error in (Unreadable(), errors.SqlError("down", 5)):  # type: ignore[arg-type]
                with self.subTest(way, error=type(error)):
                    with self.assertRaises(type(error)):
                        await self.run_in(way, breaker, _raise(error))
                    self.assertEqual(await self.run_in(way, breaker, _raise(error), "fallback"), "fallback")
            self.assertEqual(_counts(breaker), (0, 4, 0))
            self.assertEqual(breaker.in_flight, 0)

    async def test_a_coroutine_function_may_be_the_fallback_of_run_async(self) -> None:
        async def other(error: Exception) -> str:
            return f"not {error}"

        [_, (_, quick)] = self.faces()
        for of in (quick.breaker("values"), quick.policy("values")):
            self.assertEqual(await of.run_async(_raise(ConnectionError("down")), other), "not down")

    async def test_a_fallback_answers_failures_and_refusals_and_not_the_caller_s_errors(self) -> None:
        for way, client in self.faces(policy__narrow__concurrency=1, policy__shut__breaker="shut"):
            outer, inner, narrow = client.breaker("outer"), client.breaker("inner"), client.policy("narrow")
            inner.force("OPEN")
            client.breaker("shut").force("OPEN")

            def nested(*_: Any, way: str = way, inner: Breaker = inner) -> Any:
                return getattr(inner, way)(self.fail)

            def full(_: Any, way: str = way, narrow: Any = narrow) -> Any:
                return getattr(narrow, way)(self.fail, code)

            def code(error: Exception) -> str:
                return getattr(error, "code", repr(error))

            with self.subTest(way):
                self.assertEqual(await self.run_in(way, outer, nested, code), "SP_OPEN")
                self.assertEqual(await self.run_in(way, narrow, nested, code), "SP_OPEN")
                self.assertEqual(await self.run_in(way, narrow, full), "SP_FULL")
                self.assertEqual(await self.run_in(way, outer, _raise(errors.FullError("full")), code), "SP_FULL")
                self.assertEqual(await self.run_in(way, outer, _raise(errors.TimeoutError("late")), code), "SP_TIMEOUT")
                self.assertEqual(await self.run_in(way, client.policy("shut"), self.fail, code), "SP_OPEN")
                busy = errors.TimeoutError("no connection became free", "acquire")
                self.assertEqual(await self.run_in(way, outer, _raise(busy), code), "SP_TIMEOUT")
                starting = errors.SqlError("starting up", "57P03")
                self.assertEqual(await self.run_in(way, outer, _raise(starting), code), "SP_SQL")
                for of in (outer, narrow):
                    for error in (_duplicate(), concurrent.futures.CancelledError()):
                        with self.assertRaises(type(error)):
                            await self.run_in(way, of, _raise(error), "fallback")
                self.assertEqual(_counts(outer), (0, 2, 5))

    async def test_what_may_be_retried_is_retried_and_nothing_else(self) -> None:
        for way, client in self.faces(policy__again__attempts=2, policy__again__backoff="1ms"):
            policy = client.policy("again")
            for error, options, attempts in (
                (ConnectionError("down"), {}, 2),
                (errors.UnavailableError("gone", retryable=True), {}, 2),
                (errors.TimeoutError("a read was late", retryable=True), {}, 2),
                (errors.TimeoutError("a write was late"), {}, 1),
                (_duplicate(), {}, 1),
                (concurrent.futures.CancelledError(), {}, 1),
                (ConnectionError("down"), {"retry": lambda error: False}, 1),
                (_duplicate(), {"retry": lambda error: True}, 2),
            ):
                with self.subTest(way, error=error):
                    work = Failing(error)
                    if attempts == 2:
                        self.assertEqual(await self.run_in(way, policy, work, **options), "up")
                    else:
                        with self.assertRaises(type(error)):
                            await self.run_in(way, policy, work, **options)
                    self.assertEqual(work.attempts, attempts)

    async def test_a_refusal_between_attempts_tells_which_error_it_came_after(self) -> None:
        settings = {"attempts": 5, "backoff": "1ms", "breaker": "flaky"}
        for way, client in self.faces(
            breaker__flaky__failures=2, **{f"policy__flaky__{name}": value for name, value in settings.items()}
        ):
            reasons = [ConnectionError("first"), ConnectionError("second")]
            with self.subTest(way):
                with self.assertRaises(errors.OpenError) as caught:
                    await self.run_in(way, client.policy("flaky"), Failing(*reasons))
                self.assertIs(caught.exception.__cause__, reasons[1])
                with self.assertRaises(errors.OpenError) as caught:
                    await self.run_in(way, client.policy("flaky"), self.fail)
                self.assertIsNone(caught.exception.__cause__)

    async def test_a_failure_is_recorded_also_where_retry_raises(self) -> None:
        for way, client in self.faces(policy__p__breaker="p", policy__p__attempts=2):
            with self.subTest(way):
                with self.assertRaisesRegex(KeyError, "retry broke"):
                    await self.run_in(
                        way, client.policy("p"), _raise(OSError("down")), retry=_raise(KeyError("retry broke"))
                    )
                self.assertEqual(client.breaker("p").failures, 1)
                self.assertEqual(client.policy("p").stats()["running"], 0)

    async def test_an_attempt_knows_the_time_that_it_has(self) -> None:
        for way, client in self.faces(policy__hour__timeout="1h"):
            remaining = await self.run_in(way, client.policy("hour"), lambda attempt: attempt.remaining)
            self.assertTrue(3500 < remaining <= 3600, remaining)
            self.assertIsNone(await self.run_in(way, client.policy("none"), lambda attempt: attempt.remaining))

    async def test_how_long_work_took_is_recorded(self) -> None:
        settings = {"failures": 0, "slow": "5ms", "slow_rate": 50, "minimum": 2, "window_calls": 2}
        for way, client in self.faces(**{f"breaker__slow__{name}": value for name, value in settings.items()}):
            breaker = client.breaker("slow")

            def slow(error: Exception | None = None) -> None:
                with self.assertRaises(TimeoutError):
                    concurrent.futures.Future().result(timeout=0.02)
                if error is not None:
                    raise error

            for work in (slow, lambda: slow(ConnectionError("down"))):
                with self.subTest(way):
                    await self.run_in(way, breaker, lambda: 1)
                    await self.run_in(way, breaker, work, None)
                    self.assertEqual(breaker.stats()["slowRate"], 0.5)
                    breaker.reset()

    async def test_a_caller_s_own_time_out_passes_as_it_is(self) -> None:
        for way, client in self.faces(policy__t__timeout="1m", policy__t__breaker="tb"):
            with self.subTest(way):
                own = TimeoutError(110, "host unreachable")
                with self.assertRaises(TimeoutError) as caught:
                    await self.run_in(way, client.policy("t"), _raise(own))
                self.assertIs(caught.exception, own)
                self.assertEqual(client.breaker("tb").failures, 1)

    async def test_what_is_no_work_is_the_caller_s_fault(self) -> None:
        for way, client in self.faces(policy__p__breaker="p"):
            policy, breaker = client.policy("p"), client.breaker("p")
            for of in (policy, breaker):
                with self.assertRaisesRegex(TypeError, "^work must be a function, not str$"):
                    await self.run_in(way, of, "work", "fallback")
            with self.assertRaisesRegex(TypeError, "^retry must be a function, not int$"):
                await self.run_in(way, policy, self.fail, "fallback", retry=5)
            self.assertEqual(_counts(breaker), (0, 0, 0))

    async def test_the_other_face_is_named(self) -> None:
        [(_, client), (_, quick)] = self.faces()
        with self.assertRaisesRegex(TypeError, r"await run_async\(\)"):
            quick.policy("p").run(self.fail, "fallback")
        with self.assertRaisesRegex(TypeError, r"use run\(\)"):
            await client.policy("p").run_async(self.fail, "fallback")

        async def work(*_: Any) -> int:
            return 1

        for of in (client.policy("p"), client.breaker("p")):
            with self.assertRaisesRegex(TypeError, r"run\(\) takes plain functions"):
                of.run(work, "fallback")
        self.assertEqual(await client.breaker("p").run_async(work), 1)

    async def test_a_coroutine_function_in_the_wrong_place_is_no_success_and_no_failure(self) -> None:
        async def work(*_: Any) -> int:
            raise ConnectionError("nobody awaits it")

        def retry(_: Exception) -> bool:
            self.fail("it was asked for another attempt")

        for _, client in self.faces():
            breaker = client.breaker("unawaited")
            for _ in range(7):
                with self.assertRaisesRegex(TypeError, r"await run_async\(\)"):
                    breaker.run(work, "fallback")
            self.assertEqual(_counts(breaker), (0, 0, 7))
            self.assertEqual(breaker.in_flight, 0)
        client = self.faces()[0][1]
        with self.assertRaisesRegex(TypeError, r"await run_async\(\)"):
            client.policy("unawaited").run(work, "fallback", retry=retry)

    async def test_names_are_short_printable_texts(self) -> None:
        makers: list[Callable[[Any], Any]] = [lambda name: Breaker.create(name=name)]
        for _, client in self.faces():
            makers += [client.breaker, client.policy]
        for make in makers:
            for name in ("", "x" * 129, "a\nb"):
                with self.assertRaisesRegex(errors.InvalidError, "^the name of a (breaker|policy) is 1 to 128 bytes of printable text"):
                    make(name)
            with self.assertRaisesRegex(ValueError, "^name has a zero byte$"):
                make("a\0b")
            with self.assertRaisesRegex(TypeError, "^name must be text, not int$"):
                make(7)


class Cancelled(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.client = sugarperf.AsyncClient(
            support.settings(policy__narrow__concurrency=1, policy__narrow__waiting=1, policy__narrow__breaker="narrow")
        )
        self.addAsyncCleanup(self.client.close)
        self.started = asyncio.Event()

    async def work(self, *_: Any) -> None:
        self.started.set()
        await asyncio.Event().wait()

    async def test_a_cancelled_task_gives_its_permit_back_once_and_is_no_failure(self) -> None:
        breaker = Breaker.create({"breaker.failures": 1})
        task = asyncio.create_task(breaker.run_async(self.work, "fallback"))
        await self.started.wait()
        self.assertEqual(breaker.in_flight, 1)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual((breaker.in_flight, breaker.state), (0, "CLOSED"))
        self.assertEqual(_counts(breaker), (0, 0, 1))

    async def test_ctrl_c_gives_the_permit_back(self) -> None:
        breaker = Breaker.create({"breaker.failures": 1})
        with self.assertRaises(KeyboardInterrupt):
            breaker.run(_raise(KeyboardInterrupt()), "fallback")
        self.assertEqual((breaker.in_flight, _counts(breaker)), (0, (0, 0, 1)))

    async def test_a_cancelled_task_gives_its_place_back(self) -> None:
        policy = self.client.policy("narrow")
        task = asyncio.create_task(policy.run_async(self.work, "fallback"))
        await self.started.wait()
        waiting = asyncio.create_task(policy.run_async(self.work, "fallback"))
        while policy.stats()["waiting"] == 0:
            await asyncio.sleep(0)
        for given_up, left in ((waiting, 1), (task, 0)):
            given_up.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await given_up
            stats = policy.stats()
            self.assertEqual((stats["running"], stats["waiting"]), (left, 0))
        self.assertEqual(_counts(self.client.breaker("narrow")), (0, 0, 1))

    async def test_a_task_that_is_cancelled_at_any_turn_gives_its_place_back(self) -> None:
        policy = self.client.policy("narrow")
        for turns in range(8):
            task = asyncio.create_task(policy.run_async(self.work))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(policy.stats()["running"], 0)
        self.assertEqual(await policy.run_async(lambda attempt: "next"), "next")


class Deadlines(unittest.IsolatedAsyncioTestCase):
    async def test_an_attempt_has_as_long_as_is_left(self) -> None:
        with unittest.mock.patch("asyncio.timeout", wraps=asyncio.timeout) as limit:
            await waits.within(250, lambda: 1)
            await waits.within(-1, lambda: 1)
        self.assertEqual(limit.call_args_list, [unittest.mock.call(0.25), unittest.mock.call(None)])

    async def test_the_deadline_is_told_from_the_time_out_of_the_work(self) -> None:
        own = TimeoutError(110, "host unreachable")

        async def late() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise own from None

        with self.assertRaises(TimeoutError) as caught:
            await waits.within(1, late)
        self.assertIs(caught.exception, own)
        with self.assertRaises(errors.TimeoutError) as caught:
            await waits.within(1, asyncio.Event().wait)
        self.assertIsInstance(caught.exception.__cause__, TimeoutError)

    async def test_an_attempt_that_took_too_long_is_retried(self) -> None:
        async def work(attempt: sugarperf.Attempt) -> int:
            if attempt.number == 1:
                await asyncio.Event().wait()
            return attempt.number

        settings = support.settings(policy__p__attempt_timeout="20ms", policy__p__attempts=2, policy__p__backoff="1ms")
        async with sugarperf.AsyncClient(settings) as client:
            self.assertEqual(await client.policy("p").run_async(work), 2)


class Changes(unittest.IsolatedAsyncioTestCase):
    async def test_a_breaker_without_a_client_is_watched_too(self) -> None:
        breaker = Breaker.create()
        change = asyncio.create_task(breaker.next_change_async(0))
        await asyncio.sleep(0)
        breaker.force("OPEN")
        self.assertEqual(await change, {"change": 1, "state": "OPEN", "previous": "CLOSED", "missed": 0})
        self.assertEqual(await asyncio.to_thread(breaker.next_change, 0), await breaker.next_change_async(0))
        files = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            await breaker.next_change_async(0)
        self.assertEqual(len(os.listdir("/proc/self/fd")), files)
        change = asyncio.create_task(breaker.next_change_async(1))
        await asyncio.sleep(0)
        change.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await change

    async def test_watching_ends_with_the_client(self) -> None:
        async with sugarperf.AsyncClient(support.settings()) as client:
            change = asyncio.create_task(client.breaker("watched").next_change_async(0))
            await asyncio.sleep(0)
        with self.assertRaises(errors.ClosedError):
            await change


class Forked(unittest.TestCase):
    def test_a_child_is_told_that_it_is_one(self) -> None:
        client = sugarperf.Client(support.settings(policy__known__attempts=1))
        self.addCleanup(client.close)
        bare = sugarperf.Client()
        self.addCleanup(bare.close)
        breaker, policy = client.breaker("known"), client.policy("known")
        own = Breaker.create()
        calls: list[Callable[[], Any]] = [
            lambda: client.breaker("new"),
            lambda: client.breaker("known"),
            lambda: client.policy("new").run(self.fail),
            lambda: client.policy("known"),
            lambda: policy.run(self.fail),
            lambda: breaker.run(self.fail),
            lambda: own.run(self.fail),
            lambda: client.query("SELECT 1"),
            lambda: bare.query("SELECT 1"),
            lambda: client.pool_stats("none"),
        ]
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            told = []
            for call in calls:
                try:
                    call()
                    told.append("nothing")
                except BaseException as error:
                    told.append(getattr(error, "code", repr(error)))
            os.write(write, " ".join(told).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as told:
            self.assertEqual(told.read().split(" "), ["SP_FORKED"] * len(calls))
        self.assertEqual(os.waitpid(child, 0)[1], 0)


class Handles(unittest.TestCase):
    def test_what_the_library_did_not_make_does_no_harm(self) -> None:
        for call in (
            lambda: sugarperf.native.breaker_name(None),
            lambda: Breaker(None).state,
            lambda: sugarperf.native.client_breaker_ref(None, "name"),
            lambda: sugarperf.Policy(None, None).name,
        ):
            with self.assertRaisesRegex(TypeError, "must be an object of the library"):
                call()

    def test_outcomes_and_times_are_checked(self) -> None:
        breaker = Breaker.create(clock=Clock())
        for outcome in ("sucess", "", 0, None):
            with self.assertRaisesRegex(errors.InvalidError, "unknown outcome"):
                breaker.record(breaker.acquire(), outcome)
        for elapsed in (float("nan"), -1, float("inf")):
            with self.assertRaisesRegex(ValueError, "elapsed must be a number of seconds"):
                breaker.record(breaker.acquire(), "success", elapsed)
        breaker.record(breaker.acquire(), "success", 1e300)
        self.assertEqual(_counts(breaker), (1, 0, 0))
        with self.assertRaisesRegex(TypeError, "permit must be an integer, not float"):
            breaker.release(1.5)
