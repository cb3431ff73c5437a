# SPDX-License-Identifier: MIT
"""The languages agree on values and errors: tests/vectors/values.json and failures.json, which Node's tests read as well."""

from __future__ import annotations

import datetime
import decimal
import ipaddress
import json
import math
import os
import unittest
import uuid
from typing import Any

from .support import PACKAGE, settings

import sugarperf

FOLDER = os.path.join(PACKAGE, "..", "..", "tests", "vectors")


def vectors(name: str) -> Any:
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return json.load(file)


def moment(value: datetime.datetime) -> str:
    utc = value.astimezone(datetime.timezone.utc)
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def number(value: float) -> str:
    return repr(value) if math.isfinite(value) else str(value)


def dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


# As the vectors write it, from what Python is given, and the types that this may have.
SHOWN: dict[str, tuple[Any, Any]] = {
    "int": (int, str),
    "float": (float, number),
    "decimal": (decimal.Decimal, str),
    "bool": (bool, lambda value: str(value).lower()),
    "text": (str, str),
    "bytes": (bytes, bytes.hex),
    "json": (object, dumped),
    "uuid": (uuid.UUID, str),
    "date": ((datetime.date, str), str),
    "moment": (datetime.datetime, moment),
}


class Values(unittest.TestCase):
    def setUp(self) -> None:
        self.client = sugarperf.Client(settings())
        self.addCleanup(self.client.close)

    def show(self, kind: str, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, list) and kind != "json":
            return [self.show(kind, item) for item in value]
        types, show = SHOWN[kind]
        self.assertIsInstance(value, types)
        return show(value)

    def check_value(self, type: str, text: str, kind: str, of: str | None = None, value: Any = None) -> None:
        of = of or kind
        with self.client.acquire() as session:
            session.query("SET TimeZone = 'UTC'")
            found = session.query(f"SELECT $1::text::{type} AS v", [text])[0]["v"]
            shown = [dumped(v) if v is not None else None for v in found] if kind == "array" and of == "json" else None
            self.assertEqual(shown or self.show(of, found), text if value is None else value)
            # A list is PostgreSQL's array as a parameter: JSON's own goes as text.
            back = shown or dumped(found) if of == "json" else found
            same = session.query(f"SELECT ($1::{type})::text = ($2::text::{type})::text AS same", [back, text])
            self.assertIs(same[0]["same"], True)

    def test_a_value_is_what_the_vectors_say_and_goes_back_as_it_came(self) -> None:
        for vector in vectors("values.json"):
            with self.subTest(**vector):
                self.check_value(**vector)

    def test_a_timedelta_is_an_interval(self) -> None:
        for value in (
            datetime.timedelta(),
            datetime.timedelta(days=3, hours=2, microseconds=5),
            datetime.timedelta(milliseconds=-1500),
            datetime.timedelta(days=-40, seconds=1),
            datetime.timedelta.max,
        ):
            row = self.client.query(
                "SELECT extract(epoch FROM $1::interval) AS one, $1::interval = ($2::interval[])[1] AS same",
                [value, [value, None]],
            )[0]
            told = (row["one"], row["same"])
            exact = decimal.Decimal(value.days * 86400 + value.seconds) + decimal.Decimal(value.microseconds) / 10**6
            self.assertEqual(told, (exact, True), value)

    def test_an_address_goes_as_it_is_written(self) -> None:
        for kind, value in [
            ("inet", ipaddress.ip_address("10.0.0.1")),
            ("inet", ipaddress.ip_address("::1")),
            ("inet", ipaddress.ip_interface("10.0.0.1/8")),
            ("cidr", ipaddress.ip_network("10.0.0.0/8")),
            ("cidr", ipaddress.ip_network("fe80::/10")),
        ]:
            self.assertEqual(self.client.query(f"SELECT $1::{kind} AS v", [value])[0]["v"], str(value))
            self.assertTrue(self.client.query(f"SELECT $1 = ANY ($2::{kind}[]) AS v", [value, [value]])[0]["v"])

    def test_bytes_are_the_same_however_the_server_writes_them(self) -> None:
        every = bytes(range(256))
        with self.client.acquire() as session:
            for form in ("hex", "escape"):
                session.query(f"SET bytea_output = '{form}'")
                row = session.query(
                    "SELECT $1::bytea AS one, ARRAY[$1::bytea, $2, NULL] AS list, $3::bytea AS none",
                    [every, b"\\x61", b""],
                )[0]
                self.assertEqual((row["one"], row["list"], row["none"]), (every, [every, b"\\x61", None], b""), form)

    def test_an_error_is_what_the_vectors_say(self) -> None:
        for vector in vectors("failures.json"):
            limits = {name: vector[name] for name in ("timeout", "pool") if name in vector}
            with self.subTest(**vector), self.assertRaises(sugarperf.Error) as caught:
                self.client.query(sugarperf.Statement("vector", vector["sql"]), vector.get("params"), **limits)
            error = caught.exception
            told = (error.code, error.server_code, error.retryable)
            self.assertEqual(told, (vector["code"], vector["server"], vector["retryable"]))
            self.assertNotRegex(str(error), "secret|\n")
