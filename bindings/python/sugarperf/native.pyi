# SPDX-License-Identifier: MIT
# Generated from the C headers: functions of handles, which only this package calls.
from typing import Any

def __getattr__(name: str) -> Any: ...
