"""Which network, trained how, works best on my images? The few functions that a notebook needs; nothing is imported
before one is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cvlib.api import build, evaluate, load_data, load_run, network, predict, train

__all__ = ["build", "evaluate", "load_data", "load_run", "network", "predict", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cvlib import api as notebook

    return getattr(notebook, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
