"""Find the network and the training regime that work best on your images. These functions are for notebooks.

Each function is imported only when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cvlib.api import build, evaluate, load_data, load_run, network, predict, read_image, train
    from cvlib.runtime.errors import UserError

__all__ = ["UserError", "build", "evaluate", "load_data", "load_run", "network", "predict", "read_image", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "UserError":
        from cvlib.runtime.errors import UserError

        return UserError
    from cvlib import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
