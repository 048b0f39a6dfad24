"""Dataclass fields that carry their bounds, and the one check of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, field
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cvlib.runtime.errors import UserError

_T = TypeVar("_T", bound="Options")


@dataclasses.dataclass
class Options:
    """Values that belong together, such as those of an architecture; each field may carry its bounds."""

    def unused(self) -> set[str]:
        """Return the names of fields that mean nothing beside the values of the others."""
        return set()


def option(
    default: Any = MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[Any] | None = None,
    classifier_only: bool = False,
) -> Any:
    """Declare a field of `Options`.

    Args:
        default: its value where none is given; a list or a dict is copied for each object.
        low, high: the smallest and the largest number allowed; None: no limit. None as a value is never out of bounds.
        choices: all values that are allowed.
        classifier_only: whether a backbone uses it only where its whole network classifies, not for feature maps.
    """
    metadata = {"low": low, "high": high, "choices": choices, "classifier_only": classifier_only}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def typed(kind: type[_T], values: Mapping[str, Any], group: str) -> _T:
    """Return the `kind` of these values, each converted to its field's type and checked against its bounds.

    Values without a field are left out. Raises `UserError` that names `group.key` for a wrong type or a value out of
    bounds.
    """
    names = {one.name for one in dataclasses.fields(kind)}
    try:
        merged = OmegaConf.merge(OmegaConf.structured(kind), {k: v for k, v in values.items() if k in names})
        made = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None)
        where = f"{group}.{key}" if key and group else key or group or "config"
        raise UserError(f"{where}: {str(error).splitlines()[0]}") from None
    assert isinstance(made, kind)
    check_bounds(made, group)
    return made


def check_bounds(options: Any, group: str) -> None:
    """Raise `UserError` for the first field whose value is out of its bounds."""
    for one in dataclasses.fields(options):
        value, key = getattr(options, one.name), f"{group}.{one.name}".lstrip(".")
        choices, low, high = (one.metadata.get(name) for name in ("choices", "low", "high"))
        if choices is not None:
            require(value in choices, key, value, "one of " + ", ".join(map(word, choices)))
        if value is None or isinstance(value, str | list | dict):
            continue
        if low is not None:
            require(low <= value, key, value, _range(low, high))
        if high is not None:
            require(value <= high, key, value, _range(low, high))


def require(holds: bool, key: str, value: Any, expected: str) -> None:
    """Raise `UserError` unless the value is as expected."""
    if not holds:
        raise UserError(f"invalid {key}={word(value)}: expected {expected}")


def word(value: Any) -> str:
    """Return a value as YAML users write it."""
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    return "[" + ",".join(map(word, value)) + "]" if isinstance(value, list | tuple) else str(value)


def _range(low: float | None, high: float | None) -> str:
    if high is None:
        return f"{low:g} or more"
    return f"{high:g} or less" if low is None else f"a value between {low:g} and {high:g}"
