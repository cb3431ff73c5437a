# SPDX-License-Identifier: MIT
"""Settings in, reports out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import native


def config_of(settings: Mapping[str, Any], env: bool = False) -> Any:
    config = native.config_new()
    for name, value in settings.items():
        if value is not None:
            native.config_set(config, name, str(value).lower() if isinstance(value, bool) else str(value))
    if env:
        native.config_env(config)
    return config


def json_of(value: Any) -> Any:
    return json.loads(native.value_data(value))
