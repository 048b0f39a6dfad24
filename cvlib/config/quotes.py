"""Quotes around a value in one of Hydra's overrides."""

from __future__ import annotations

import re


def in_quotes(text: str) -> str:
    """Return the value in quotes, so that Hydra reads exactly this text, such as a path with commas or brackets."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)  # in quotes, Hydra unescapes a backslash only before a quote
    end = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{end * chr(92)}'"
