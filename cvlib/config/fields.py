"""Dataclass fields that carry their bounds, and the check of these bounds."""

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
    """A group of related options, such as those of an architecture; each field may carry its bounds."""

    def unused(self) -> set[str]:
        """Return the names of fields that have no effect, given the values of the other fields."""
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
        default: the default value; a list or a dict is copied for each object.
        low, high: the smallest and the largest allowed number; None: no limit. A value of None is never out of bounds.
        choices: all allowed values.
        classifier_only: whether a backbone uses it only as part of a classifier, not to compute feature maps.
    """
    metadata = {"low": low, "high": high, "choices": choices, "classifier_only": classifier_only}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def typed(kind: type[_T], values: Mapping[str, Any], group: str) -> _T:
    """Return an object of class `kind`, with each value converted to its field's type and checked against its bounds.

    Values without a field are left out. Raises a `UserError` that names `group.key` for a value of the wrong type or
    out of bounds.
    """
    names = {item.name for item in dataclasses.fields(kind)}
    try:
        merged = OmegaConf.merge(OmegaConf.structured(kind), {k: v for k, v in values.items() if k in names})
        made = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None)
        where = f"{group}.{key}" if key and group else key or group or "config"
        if "Value 'None'" in (text := str(error).splitlines()[0]):
            raise UserError(f"{where}=None: write null for no value") from None
        raise UserError(f"{where}: {text}") from None
    assert isinstance(made, kind)
    check_bounds(made, group)
    return made


def check_bounds(options: Any, group: str) -> None:
    """Raise `UserError` for the first field whose value is out of its bounds."""
    for item in dataclasses.fields(options):
        value, key = getattr(options, item.name), f"{group}.{item.name}".lstrip(".")
        choices, low, high = (item.metadata.get(name) for name in ("choices", "low", "high"))
        if choices is not None:
            require(value in choices, key, value, "one of " + ", ".join(map(word, choices)))
        if value is None or isinstance(value, str | list | dict):
            continue
        if low is not None:
            require(low <= value, key, value, _range(low, high))
        if high is not None:
            require(value <= high, key, value, _range(low, high))


def require(holds: bool, key: str, value: Any, expected: str) -> None:
    """Raise `UserError` unless the condition `holds`."""
    if not holds:
        raise UserError(f"invalid {key}={word(value)}: expected {expected}")


def word(value: Any) -> str:
    """Return a value as it is written in YAML."""
    if isinstance(value, bool) or value is None:
        return {None: "null", True: "true", False: "false"}[value]
    return "[" + ",".join(map(word, value)) + "]" if isinstance(value, list | tuple) else str(value)


def _range(low: float | None, high: float | None) -> str:
    if high is None:
        return f"{low:g} or more"
    return f"{high:g} or less" if low is None else f"a value between {low:g} and {high:g}"
