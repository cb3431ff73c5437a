# SPDX-License-Identifier: MIT
"""A statement is declared once, with the name that metrics and the profiler use, and run from anywhere."""

from __future__ import annotations

import functools
from typing import Any

from . import native


class Statement:
    """`name` None: the statement's fingerprint."""

    def __init__(
        self,
        name: str | None,
        sql: str,
        *,
        read: bool = False,
        write: bool = False,
        idempotent: bool = False,
        unnamed: bool = False,
    ) -> None:
        flags = (
            (native.SP_STMT_READ if read else 0)
            | (native.SP_STMT_WRITE if write else 0)
            | (native.SP_STMT_IDEMPOTENT if idempotent else 0)
            | (native.SP_STMT_UNNAMED if unnamed else 0)
        )
        self._native = native.stmt_new(name, sql, flags)

    @property
    def name(self) -> str:
        return native.stmt_name(self._native)

    def __repr__(self) -> str:
        return f"<sugarperf.Statement {self.name}>"


@functools.lru_cache(maxsize=1024)
def _kept(sql: str) -> Statement:
    return Statement(None, sql)


def handle_of(sql: str | Statement) -> Any:
    if isinstance(sql, Statement):
        return sql._native
    if not isinstance(sql, str):
        raise TypeError(f"sql must be text or a Statement, not {type(sql).__name__}")
    return _kept(sql)._native
