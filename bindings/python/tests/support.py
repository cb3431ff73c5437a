# SPDX-License-Identifier: MIT
"""The servers are private ones, started by whoever runs the suite: DATABASE_URL and REDIS_URL name them."""

from __future__ import annotations

import os
import sys
import unittest
import uuid
from typing import Any

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, PACKAGE)


def url(name: str) -> str:
    if not os.environ.get(name):
        raise RuntimeError(f"{name} is not set: run the suite with ./run test")
    return os.environ[name]


def settings(**more: Any) -> dict[str, Any]:
    """`pool__max=4` is "pool.max"."""
    made = {"pool.url": url("DATABASE_URL"), "redis.url": url("REDIS_URL")}
    made.update({name.replace("__", "."): value for name, value in more.items()})
    return made


def fresh(prefix: str) -> str:
    """No two runs share a key."""
    return f"{prefix}:{uuid.uuid4()}"


def table(case: unittest.TestCase) -> str:
    """A table of a test's own with the row (1, 0), as (id, n)."""
    name = f"python_{uuid.uuid4().hex}"

    def run(sql: str) -> None:
        import sugarperf

        with sugarperf.Client(settings()) as client:
            client.query(sql)

    run(f"CREATE TABLE {name} (id int PRIMARY KEY, n int)")
    run(f"INSERT INTO {name} VALUES (1, 0)")
    case.addCleanup(run, f"DROP TABLE {name}")
    return name
