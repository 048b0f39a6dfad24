"""Paths on the command line as people write them: what Hydra's grammar can't read is quoted for it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PATHS = ("data.path", "mode.weights")  # keys whose values are paths
_PLAIN = re.compile(r"[\w/\-\\+.$%*@?|:=\[\]{}'\" ,]*", re.ASCII)  # characters that Hydra reads without quotes


def quoted(overrides: Sequence[str]) -> list[str]:
    """Return the overrides with quotes around paths that hold ~, brackets or letters beyond ASCII.

    A list of values for a sweep, separated by commas, has each of its values quoted.
    """
    return [_quoted(override) for override in overrides]


def _quoted(override: str) -> str:
    key, equals, value = override.partition("=")
    if not equals or key.lstrip("+") not in _PATHS or value[:1] in ("'", '"', "[", "$") or _PLAIN.fullmatch(value):
        return override
    return f"{key}={','.join(_word(one) for one in value.split(','))}"


def _word(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'") if "'" in value else value
    return value if _PLAIN.fullmatch(value) else f"'{escaped}'"
