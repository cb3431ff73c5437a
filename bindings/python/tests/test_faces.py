# SPDX-License-Identifier: MIT
"""The blocking pool is the asyncio one without its awaits: written once. After a change: python3 tests/test_faces.py --write"""

from __future__ import annotations

import os
import re
import sys
import unittest

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "sugarperf")
STEPS = (
    (r'"""A pool of the asyncio face\..*"""', '"""A pool of the blocking face. Made of aio_pool.py: tests/test_faces.py --write."""'),
    (r"each, settled", "items as each, worked as settled"),
    (r"Awaitable\[T\] \| T", "T"),
    (r"-> Awaitable\[T\]", "-> T"),
    (r"\bAsyncIterator, Awaitable, Callable, Sequence", "Callable, Iterator, Sequence"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsync(?=[A-Z])", ""),
)


def read(name: str) -> str:
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


def blocking() -> str:
    text = read("aio_pool.py")
    for pattern, word in STEPS:
        text = re.sub(pattern, word, text)
    return text


class Faces(unittest.TestCase):
    def test_the_blocking_pool_is_the_other_one_without_its_awaits(self) -> None:
        self.assertEqual(read("pool.py"), blocking(), "run: python3 bindings/python/tests/test_faces.py --write")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        with open(os.path.join(FOLDER, "pool.py"), "w", encoding="utf-8") as made:
            made.write(blocking())
    else:
        unittest.main()
