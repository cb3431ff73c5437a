# SPDX-License-Identifier: MIT
"""Results from packed form (result_pack() in pool.h), in one pass."""

from __future__ import annotations

import datetime
import decimal
import json
import struct
import uuid
from collections.abc import Callable, Mapping
from typing import Any

Parser = Callable[[str], Any]
Types = Mapping[int, Parser]

_HEAD = struct.Struct("<BBHIqH")
_COLUMN = struct.Struct("<IH")
_LENGTH = struct.Struct("<i")


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


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


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


def _fields(data: bytes, at: int, columns: int) -> tuple[list[tuple[str, int]], int]:
    fields = []
    for _ in range(columns):
        oid, length = _COLUMN.unpack_from(data, at)
        at += _COLUMN.size
        fields.append((data[at : at + length].decode(), oid))
        at += length
    return fields, at


class Sets(list):  # type: ignore[type-arg]
    """Of a batch: the rows of each set, and what all of them affected."""

    __slots__ = ("affected",)
    affected: int


def decode_sets(packed: bytes | list[bytes], types: Types | None = None) -> Sets:
    """A single set comes alone."""
    sets = Sets(decode(data, types) for data in ([packed] if isinstance(packed, bytes) else packed))
    sets.affected = sum(rows.affected for rows in sets)
    return sets


def decode(data: bytes, types: Types | None = None) -> Rows:
    version, _, columns, count, affected, length = _HEAD.unpack_from(data)
    if version != 1:
        raise ValueError("sugarperf: a result of an unknown format")
    rows = Rows()
    at = _HEAD.size + length
    rows.affected = affected
    rows.command = data[_HEAD.size : at].decode()
    rows.fields, at = _fields(data, at, columns)
    plan = [(name, _parser(oid, types)) for name, oid in rows.fields]
    unpack = _LENGTH.unpack_from
    for _ in range(count):
        row: dict[str, Any] = {}
        for name, parse in plan:
            (size,) = unpack(data, at)
            at += 4
            if size < 0:
                row[name] = None
                continue
            text = data[at : at + size].decode()
            row[name] = parse(text) if parse else text
            at += size
        rows.append(row)
    return rows
