# SPDX-License-Identifier: MIT
"""Parameters in packed form (params.h): u8 1, u8 0, u16 count, then u8 format, i32 length, bytes."""

from __future__ import annotations

import datetime
import decimal
import json
import struct
import uuid
from collections.abc import Sequence
from typing import Any

from . import errors, native

_HEAD = struct.Struct("<BBH")
_SETS = struct.Struct("<BBHI")
_CELL = struct.Struct("<ci")
_NULL = _CELL.pack(b"t", -1)
_MAX = 65535


def _array(values: Sequence[Any]) -> str:
    return "{" + ",".join(_element(value) for value in values) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, (list, tuple)):
        return _array(value)
    return '"' + text_of(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def text_of(value: Any) -> str:
    """A value as PostgreSQL writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, (int, float, decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return _array(value)
    if isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    raise TypeError(f"a {type(value).__name__} cannot be a parameter")


def _pack(value: Any) -> bytes:
    if value is None:
        return _NULL
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        return _CELL.pack(b"b", len(data)) + data
    data = text_of(value).encode()
    return _CELL.pack(b"t", len(data)) + data


def _check(values: Any) -> None:
    if isinstance(values, (str, bytes, dict)) or not isinstance(values, Sequence):
        raise TypeError("parameters must be a list or a tuple")
    if len(values) > _MAX:
        raise errors.make(native.SP_LIMIT, f"there are {len(values)} parameters, at most {_MAX} are allowed")


def load_sets(sets: Sequence[Sequence[Any]]) -> Any:
    """Several sets of the same number of values."""
    if isinstance(sets, (str, bytes, dict)) or not isinstance(sets, Sequence):
        raise TypeError("sets must be a list of lists of parameters")
    for i, values in enumerate(sets):
        _check(values)
        if len(values) != len(sets[0]):
            raise errors.make(
                native.SP_INVALID, f"set {i} has {len(values)} parameters, set 0 has {len(sets[0])}"
            )
    params = native.params_new()
    head = _SETS.pack(2, 0, len(sets[0]) if sets else 0, len(sets))
    native.params_load(params, head + b"".join(_pack(value) for values in sets for value in values))
    return params


def load(values: Sequence[Any] | None) -> Any:
    """The values as an sp_params; None for none."""
    if not values:
        return None
    _check(values)
    params = native.params_new()
    native.params_load(params, _HEAD.pack(1, 0, len(values)) + b"".join(map(_pack, values)))
    return params
