# SPDX-License-Identifier: MIT
"""The package is typed: mypy finds nothing wrong in it, and what is wrong in a service's use of it."""

from __future__ import annotations

import ast
import os
import subprocess
import tempfile
import unittest

from .support import PACKAGE

from sugarperf import errors

ROOT = os.path.dirname(os.path.dirname(PACKAGE))
MYPY = os.path.join(ROOT, ".venv", "bin", "mypy")
SERVICE = """
import sugarperf
from sugarperf import AsyncClient, Client, cached, dbapi, errors

client = AsyncClient({"pool.max": 5})

@cached(client, "typed:content:{id}:full", ttl="1h")
async def content(id: int) -> str:
    rows = await client.query("SELECT title FROM contents WHERE id = $1", [id])
    return str(rows[0]["title"])

class Shelf:
    @cached(lambda: client, "typed:shelf:{id}:full")
    async def top(self, id: int) -> str:
        return str(id)

async def first() -> str:
    return await content(1)

async def use() -> None:
    await client.cache.invalidate(keys=[content.key(7), await Shelf().top(7)])
    content.key("7")  # wrong
    await Shelf().top("7")  # wrong
    title: str = await content(7)
    count: int = await content(7)  # wrong
    await content("7")  # wrong
    await client.query("SELECT $1", "7", "8")  # wrong
    await client.query(b"SELECT 1")  # wrong
    async with client.transaction(isolation="serializable") as tx, tx.savepoint():
        await tx.batch("INSERT INTO t VALUES ($1)", [[1], [2]])
        await tx.publish()  # wrong
    async for row in client.stream("SELECT 1", page_size=10):
        row.upper()  # wrong
    with client.transaction():  # wrong
        pass
    (await client.breaker("db").run_async(first)).upper()
    found: str = await client.policy("db").run_async(lambda attempt: content(7), retry=lambda error: False)
    found = await client.breaker("db").run_async(use)  # wrong
    found = await client.breaker("db").run_async(first, lambda error: "")
    found = await client.breaker("db").run_async(first, "")
    found = await client.breaker("db").run_async(lambda: "", lambda error: first())
    found = await client.policy("db").run_async(lambda attempt: content(7), lambda error: first())
    either: str | None = await client.policy("db").run_async(lambda attempt: content(7), None)
    either = await client.breaker("db").run_async(first, lambda error: None)
    found = await client.breaker("db").run_async(first, None)  # wrong
    found = await client.breaker("db").run_async(first, lambda error: 7)  # wrong
    found = await client.policy("db").run_async(lambda attempt: first(), lambda error: use())  # wrong

def block(plain: Client) -> int:
    with plain.transaction() as tx:
        number: int = tx.query("SELECT 1").affected
    try:
        plain.query("SELECT 1")
    except sugarperf.SqlError as error:
        error.sqlstate.upper()
        error.sql_state  # wrong
    except errors.TimeoutError as late:
        late.retryable.bit_length()
        late.sqlstate  # wrong
    with dbapi.connect(client=plain) as connection:
        row: tuple[object, ...] | None = connection.cursor().execute("SELECT 1").fetchone()
        connection.cursor().fetch()  # wrong
    return number
"""


@unittest.skipUnless(os.path.exists(MYPY), "mypy is not in .venv")
class Typed(unittest.TestCase):
    def mypy(self, *arguments: str) -> list[str]:
        with tempfile.TemporaryDirectory() as cache:
            done = subprocess.run(
                [MYPY, "--strict", "--cache-dir", cache, "--no-error-summary", *arguments],
                env={**os.environ, "MYPYPATH": PACKAGE},
                cwd=cache,
                capture_output=True,
                text=True,
                timeout=240,
            )
        self.assertEqual(done.stderr, "")
        return done.stdout.splitlines()

    def test_the_package_is_right(self) -> None:
        self.assertEqual(self.mypy("--no-warn-return-any", "-p", "sugarperf"), [])

    def test_every_error_is_declared(self) -> None:
        with open(os.path.join(PACKAGE, "sugarperf", "errors.py"), encoding="utf-8") as file:
            declared = {node.name for node in ast.walk(ast.parse(file.read())) if isinstance(node, ast.ClassDef)}
        made = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.Error)}
        self.assertEqual(declared, made)

    def test_what_is_wrong_in_a_service_is_found(self) -> None:
        wrong = [number for number, line in enumerate(SERVICE.splitlines(), 1) if line.endswith("# wrong")]
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(SERVICE)
            file.flush()
            found = [line for line in self.mypy(file.name) if line.startswith(file.name) and ": error:" in line]
        self.assertEqual(sorted({int(line.split(":")[1]) for line in found}), wrong, "\n".join(found))
