"""The heads, one file each. `get(name)` returns one."""

from __future__ import annotations

import importlib
import pkgutil

from cvlib.models.head import Head
from cvlib.runtime.errors import UserError


def names() -> list[str]:
    """Return the names of all heads."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> Head:
    """Return the head with this name; raise `UserError` if it doesn't exist."""
    if name not in names():
        raise UserError(f"invalid model.head={name}: expected one of {', '.join(names())}")
    head: Head = importlib.import_module(f"{__name__}.{name}").HEAD
    return head
