# SPDX-License-Identifier: MIT
"""What a call is refused for is said: the offender, and the limit; in both faces."""

from __future__ import annotations

import json
import os
import re
import unittest
from collections.abc import Callable
from typing import Any

from .support import PACKAGE, fresh, settings

import sugarperf
from sugarperf import Breaker, Clock, Statement, Template, errors, waits


def _vectors() -> list[dict[str, Any]]:
    path = os.path.join(os.path.dirname(os.path.dirname(PACKAGE)), "tests", "vectors", "refused.json")
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _long(text: str) -> str:
    """ "k*1025" is 1,025 times k."""
    parts = re.fullmatch(r"(.)\*(\d+)", text)
    return parts[1] * int(parts[2]) if parts else text


def _longs(vector: dict[str, Any], name: str) -> list[Any]:
    return [_long(text) for text in vector.get(name, ())]


def _many(vector: dict[str, Any], name: str) -> list[Any]:
    return [f"n{i}" for i in range(vector["many"])] if "many" in vector else _longs(vector, name)


def _calls(client: Any) -> dict[str, Callable[[dict[str, Any]], Any]]:
    cache = client.cache
    template = cache.template("refused:{id}:{limit}", patterns=["refused:{id}:*"])
    return {
        "invalidate": lambda of: cache.invalidate(
            keys=_many(of, "keys"), tags=_longs(of, "tags"), patterns=_longs(of, "patterns")
        ),
        "get": lambda of: cache.get(_long(of.get("key", fresh("refused"))), lambda: 1, tags=_many(of, "tags")),
        "cached": lambda of: cache.query(_long(of["key"]), "SELECT 1"),
        "key": lambda of: template.key(*of["params"]),
        "query": lambda of: client.query(Statement("refused", of["sql"]), _many(of, "params")),
    }


# Calls are named as they are here.
CALLS = {"{acquire}": "acquire()", "{copy}": "copy_from() or copy_to()"}


class Vectors(unittest.IsolatedAsyncioTestCase):
    async def test_the_refusal_says_what_is_wrong(self) -> None:
        async with sugarperf.AsyncClient(settings()) as quick:
            with sugarperf.Client(settings()) as client:
                for vector in _vectors():
                    says = re.sub(r"\{(acquire|copy)\}", lambda call: CALLS[call[0]], vector["says"])
                    for face in (quick, client):
                        with self.subTest(says, face=type(face).__name__):
                            with self.assertRaises(errors.Error) as caught:
                                await waits.settled(_calls(face)[vector["call"]](vector))
                            self.assertEqual((caught.exception.code, str(caught.exception)), (vector["code"], says))


class Types(unittest.IsolatedAsyncioTestCase):
    async def test_an_argument_of_the_wrong_type_is_called_by_its_name(self) -> None:
        breaker, clock = Breaker.create(), Clock()
        cases: list[tuple[Callable[[Any], Any], str]] = [
            (lambda c: c.cache.get(7, lambda: 1), "key must be text or bytes, not int"),
            (lambda c: c.cache.get("a:b", "value"), "loader must be a function, not str"),
            (lambda c: c.cache.get("a:b", lambda: 1, ttl="1h"), "ttl must be a number of seconds, not str"),
            (lambda c: c.cache.get("a:b", lambda: 1, tags="tag"), "tags must be a list, not str"),
            (lambda c: c.cache.get(fresh("refused"), lambda: 1, tags=[7]), "tag must be text or bytes, not int"),
            (lambda c: c.cache.invalidate(keys="a:b"), "keys must be a list, not str"),
            (lambda c: c.cache.invalidate(keys=[7]), "key must be text or bytes, not int"),
            (lambda c: c.cache.invalidate(patterns=[(7, ())]), "pattern must be text, not int"),
            (lambda c: c.query(7), "sql must be text or a Statement, not int"),
            (lambda c: c.query(["SELECT 1"]), "sql must be text or a Statement, not list"),
            (lambda c: c.query("SELECT 1", timeout=[1]), "timeout must be a number of seconds, not list"),
            (lambda c: c.query("SELECT 1", pool=7), "pool must be text, not int"),
            (lambda c: c.breaker(None), "name must be text, not NoneType"),
            (lambda c: c.breaker(7), "name must be text, not int"),
            (lambda c: c.policy(7), "name must be text, not int"),
            (lambda c: c.profiler.stats(7), "name must be text, not int"),
            (lambda c: Template(7), "template must be text, not int"),
            (lambda c: Template("a:{b}", patterns=[7]), "pattern must be text, not int"),
            (lambda c: Statement("name", 7), "sql must be text or bytes, not int"),
            (lambda c: Statement(7, "SELECT 1"), "name must be text, not int"),
            (lambda c: Breaker.create(clock=7), "clock must be a Clock, not int"),
            (lambda c: clock.advance("1"), "ms must be an integer, not str"),
            (lambda c: breaker.record("1", "success"), "permit must be an integer, not str"),
            (lambda c: breaker.record(1, "success", "1"), "elapsed must be a number of seconds, not str"),
        ]
        async with sugarperf.AsyncClient(settings()) as quick:
            with sugarperf.Client(settings()) as client:
                for call, says in cases:
                    for face in (quick, client):
                        with self.subTest(says, face=type(face).__name__):
                            with self.assertRaises(TypeError) as caught:
                                await waits.settled(call(face))
                            self.assertEqual(str(caught.exception), says)

    def test_what_is_to_be_called_instead_is_named_as_it_is_here(self) -> None:
        with sugarperf.Client(settings()) as client:
            with self.assertRaisesRegex(errors.SessionError, r"from acquire\(\)"):
                client.query("SET search_path TO public")
            with self.assertRaisesRegex(errors.UnsupportedError, r"copy_from\(\) or copy_to\(\)"):
                client.query("COPY nothing TO STDOUT")
            with self.assertRaisesRegex(errors.SqlError, r"sp_pool_acquire\(\)"):
                client.query("SELECT sp_pool_acquire()")

    def test_what_other_languages_cannot_read_is_not_cached(self) -> None:
        with sugarperf.Client(settings()) as client:
            for value in (float("nan"), [float("inf")], {"score": -float("inf")}):
                key = fresh("refused:nan")
                with self.assertRaisesRegex(ValueError, "neither NaN nor Infinity"):
                    client.cache.get(key, lambda value=value: value)
                with self.assertRaisesRegex(ValueError, "neither NaN nor Infinity"):
                    client.cache.set(key, value)
                self.assertEqual(client.cache.get(key, lambda: 1), 1)

    def test_what_has_no_place_in_c_is_refused(self) -> None:
        breaker = Breaker.create()
        with self.assertRaisesRegex(OverflowError, "permit must be an integer from 0 to"):
            breaker.release(1 << 64)
        with self.assertRaisesRegex(errors.InvalidError, "unknown outcome fine"):
            breaker.record(1, "fine")
        with sugarperf.Client(settings()) as client:
            with self.assertRaisesRegex(ValueError, "name has a zero byte"):
                client.breaker("a\0b")
            with self.assertRaisesRegex(ValueError, "timeout must be a number of seconds, not nan"):
                client.query("SELECT 1", timeout=float("nan"))
