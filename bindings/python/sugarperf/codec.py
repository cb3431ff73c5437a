# SPDX-License-Identifier: MIT
"""Cached values carry a codec, so that what one language stored another can read.

None is "there is nothing", str text, bytes bytes, anything else JSON.
"""

from __future__ import annotations

import json
from typing import Any

from . import native, rows


def encode(value: Any) -> tuple[int, bytes]:
    if value is None:
        return native.SP_CODEC_ABSENT, b""
    if isinstance(value, str):
        return native.SP_CODEC_TEXT, value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return native.SP_CODEC_BYTES, bytes(value)
    try:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"a value that is cached must be JSON, which has neither NaN nor Infinity ({error})") from None
    return native.SP_CODEC_JSON, text.encode()


def decode(codec: int, data: bytes, *, types: rows.Types | None = None) -> Any:
    if codec == native.SP_CODEC_ABSENT:
        return None
    if codec == native.SP_CODEC_TEXT:
        return data.decode()
    if codec == native.SP_CODEC_JSON:
        return json.loads(data)
    if codec == native.SP_CODEC_RESULT:
        return native.rows_unpack(data, types)
    return data
