"""The search space: Hydra's sweep overrides converted for Optuna, and example jobs from the space."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from typing import Any

from hydra.core.override_parser.types import Override

from cvlib.config import unused_keys
from cvlib.runtime.errors import UserError

MOST_EXAMPLES = 64  # examples that are composed and checked before a search starts


def choice(override: Override) -> Any:
    """Return a sweep override as a `Range` or a tuple of choices."""
    from cvlib.sweeps.trials import Range

    value: Any = override.value()
    if override.is_interval_sweep():
        if value.start >= value.end or ("log" in value.tags and value.start <= 0):
            above = ", both above 0" if "log" in value.tags else ""
            raise UserError(f"{override.input_line}: expected an interval from a lower to a higher value{above}")
        return Range(value.start, value.end, log="log" in value.tags, whole=isinstance(value.start, int))
    choices: list[Any] = list(override.sweep_iterator())
    if override.is_range_sweep() and len(choices) > 1:
        whole = all(isinstance(choice, int) for choice in choices)
        return Range(choices[0], choices[-1], whole=whole, step=value.step)
    return tuple(override.sweep_string_iterator())


def corners(space: dict[str, Any]) -> Iterator[list[str]]:
    """Yield the overrides at the corners of the space: every choice, combined with the ends of every range."""
    values = [choice if isinstance(choice, tuple) else (choice.low, choice.high) for choice in space.values()]
    return _overrides(space, values)


def kinds(space: dict[str, Any]) -> tuple[list[list[str]], bool]:
    """Return examples that differ in the values that decide which keys are used, and whether no example is missing."""
    deciding = [_deciding_values(key, choice) for key, choice in space.items()]
    found = list(islice(_overrides(space, deciding), MOST_EXAMPLES + 1))
    return found[:MOST_EXAMPLES], len(found) <= MOST_EXAMPLES


def _overrides(space: dict[str, Any], values: list[tuple[Any, ...]]) -> Iterator[list[str]]:
    for chosen in product(*values):
        yield [f"{key}={value}" for key, value in zip(space, chosen, strict=True)]


def _deciding_values(key: str, choice: Any) -> tuple[Any, ...]:
    """Return all choices for a group such as model, or for a name in it, such as a base; otherwise one example."""
    if not isinstance(choice, tuple):
        return (choice.low,)
    are_names = all(value.isidentifier() for value in choice)
    return choice if key in unused_keys.GROUPS or (unused_keys.is_inside(key) and are_names) else choice[:1]
