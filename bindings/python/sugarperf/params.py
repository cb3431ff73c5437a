# SPDX-License-Identifier: MIT
"""Values as parameters. Plain ones cross by themselves (values.c); here is how all others are written."""

from __future__ import annotations

import datetime
import decimal
import ipaddress
import json
import uuid
from collections.abc import Sequence
from typing import Any

from . import errors, native

_MAX = 65535
_ADDRESSES = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)  # interfaces are addresses as well


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
    if isinstance(value, (int, float, decimal.Decimal, uuid.UUID, *_ADDRESSES)):
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return f"{value.days} days {value.seconds}.{value.microseconds:06} seconds"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return _array(value)
    if isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    raise TypeError(f"a {type(value).__name__} cannot be a parameter")


def check(values: Any) -> None:
    """Refuses what is no list of parameters (the native module calls it)."""
    if isinstance(values, (str, bytes, dict)) or not isinstance(values, Sequence):
        raise TypeError("parameters must be a list or a tuple")
    if len(values) > _MAX:
        raise errors.make(native.SP_LIMIT, f"there are {len(values)} parameters, at most {_MAX} are allowed")


def load_sets(sets: Sequence[Sequence[Any]]) -> Any:
    """Several sets of the same number of values."""
    if isinstance(sets, (str, bytes, dict)) or not isinstance(sets, Sequence):
        raise TypeError("sets must be a list of lists of parameters")
    for i, values in enumerate(sets):
        check(values)
        if len(values) != len(sets[0]):
            raise errors.make(
                native.SP_INVALID, f"set {i} has {len(values)} parameters, set 0 has {len(sets[0])}"
            )
    return native.params_make_sets(sets)


# The values as an sp_params; None for none.
load = native.params_make
