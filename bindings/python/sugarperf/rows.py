# SPDX-License-Identifier: MIT
"""Results, which the native module makes in one pass (rows.c), and what values of PostgreSQL's types become."""

from __future__ import annotations

import datetime
import decimal
import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from . import native, params

Parser = Callable[[str], Any]
Types = Mapping[int, Parser]


class Rows(list):  # type: ignore[type-arg]
    """The rows as dicts, with `fields` [(name, type OID)], `affected` and `command` beside them."""

    __slots__ = ("fields", "affected", "command")
    fields: list[tuple[str, int]]
    affected: int
    command: str


def _moment(text: str) -> Any:
    """A datetime; text for what it cannot hold (infinity, years outside 1-9999)."""
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        return text


def _date(text: str) -> Any:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return text


def _unescaped(found: re.Match[bytes]) -> bytes:
    return b"\\" if found[1] == b"\\" else bytes([int(found[1], 8)])


def _bytes(text: str) -> bytes:
    """In both forms of bytea_output: \\x00ff, or a backslash twice and in octal what is not printed."""
    if text.startswith("\\x"):
        return bytes.fromhex(text[2:])
    return re.sub(rb"\\(\\|[0-7]{3})", _unescaped, text.encode("ascii"))


_SCALAR: dict[int, Parser] = {
    16: lambda text: text == "t",
    17: _bytes,
    20: int,
    21: int,
    23: int,
    26: int,
    114: json.loads,
    700: float,
    701: float,
    1082: _date,
    1114: _moment,
    1184: _moment,
    1700: decimal.Decimal,
    2950: uuid.UUID,
    3802: json.loads,
}
_ARRAYS = {
    199: 114, 1000: 16, 1001: 17, 1005: 21, 1007: 23, 1009: 25, 1014: 1042, 1015: 1043, 1016: 20, 1021: 700,
    1022: 701, 1028: 26, 1115: 1114, 1182: 1082, 1185: 1184, 1231: 1700, 2951: 2950, 3807: 3802,
}  # fmt: skip


def _array(text: str, parse: Parser | None) -> list[Any]:
    """PostgreSQL's array text: {1,NULL,"a \\"b\\"",{2}}."""
    stack: list[list[Any]] = []
    done: list[Any] = []
    at = text.index("{")
    while at < len(text):
        char = text[at]
        if char == "{":
            stack.append([])
            at += 1
        elif char == "}":
            done = stack.pop()
            if stack:
                stack[-1].append(done)
            at += 1
        elif char == ",":
            at += 1
        else:
            value, at = _quoted(text, at) if char == '"' else _bare(text, at)
            bare_null = char != '"' and value == "NULL"
            stack[-1].append(None if bare_null else parse(value) if parse else value)
    return done


def _quoted(text: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    at += 1
    while text[at] != '"':
        if text[at] == "\\":
            at += 1
        parts.append(text[at])
        at += 1
    return "".join(parts), at + 1


def _bare(text: str, at: int) -> tuple[str, int]:
    end = at
    while text[end] not in ",}":
        end += 1
    return text[at:end], end


def _parser(oid: int, types: Types | None) -> Parser | None:
    if types and oid in types:
        return types[oid]
    if oid in _SCALAR:
        return _SCALAR[oid]
    if oid in _ARRAYS:
        element = _parser(_ARRAYS[oid], types)
        return lambda text: _array(text, element)
    return None


class Sets(list):  # type: ignore[type-arg]
    """Of a batch: the rows of each set, and what all of them affected."""

    __slots__ = ("affected",)
    affected: int


def sets_of(payload: Any) -> Sets:
    """A single set comes alone."""
    sets = Sets([payload] if isinstance(payload, Rows) else payload)
    sets.affected = sum(rows.affected for rows in sets)
    return sets


native.set_lent(
    Rows,
    {oid: parse for oid in (*_SCALAR, *_ARRAYS) if (parse := _parser(oid, None))},
    _parser,
    params.text_of,
    params.check,
)
