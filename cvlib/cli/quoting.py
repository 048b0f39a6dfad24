"""Quote paths and names on the command line that Hydra's grammar can't read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cvlib.config.quotes import in_quotes

_TEXTS = ("data.path", "mode.weights", "name", "hydra.run.dir", "hydra.sweep.dir")  # keys of paths and names
_PLAIN = re.compile(r"[\w/\-\\+.$%*@?|:=\[\]{}'\" ,]*", re.ASCII)  # characters that Hydra reads without quotes


def quoted(overrides: Sequence[str]) -> list[str]:
    """Return the overrides with quotes around paths and names that contain ~, brackets or letters beyond ASCII.

    In a comma-separated list for a sweep, each value is quoted separately.
    """
    return [_quoted(override) for override in overrides]


def _quoted(override: str) -> str:
    key, equals, value = override.partition("=")
    if not equals or key.lstrip("+") not in _TEXTS or value[:1] in ("'", '"', "[", "$") or _PLAIN.fullmatch(value):
        return override
    return f"{key}={','.join(_quoted_value(part) for part in value.split(','))}"


def _quoted_value(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else in_quotes(value)
