"""What a search chooses from: Hydra's sweeps as Optuna takes them, and examples of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from typing import Any

from hydra.core.override_parser.types import Override

from cvlib.config import unused_keys
from cvlib.runtime.errors import UserError

MOST_EXAMPLES = 64  # that are tried before a search starts


def choice(override: Override) -> Any:
    """A sweep as Optuna takes it: a range or choices."""
    from cvlib.sweeps.trials import Range

    value: Any = override.value()
    if override.is_interval_sweep():
        if value.start >= value.end or ("log" in value.tags and value.start <= 0):
            above = " and above 0" if "log" in value.tags else ""
            raise UserError(f"{override.input_line}: an interval goes from the lower to the higher value{above}")
        return Range(value.start, value.end, log="log" in value.tags, whole=isinstance(value.start, int))
    choices: list[Any] = list(override.sweep_iterator())
    if override.is_range_sweep() and len(choices) > 1:
        whole = all(isinstance(choice, int) for choice in choices)
        return Range(choices[0], choices[-1], whole=whole, step=value.step)
    return tuple(override.sweep_string_iterator())


def corners(space: dict[str, Any]) -> Iterator[list[str]]:
    """Overrides at the ends of the space: every choice, and the ends of every range."""
    return _overrides(space, [one if isinstance(one, tuple) else (one.low, one.high) for one in space.values()])


def kinds(space: dict[str, Any]) -> tuple[list[list[str]], bool]:
    """Examples that differ in what decides which keys are used; and whether these are all kinds that there are."""
    found = list(islice(_overrides(space, [_deciding(*one) for one in space.items()]), MOST_EXAMPLES + 1))
    return found[:MOST_EXAMPLES], len(found) <= MOST_EXAMPLES


def _overrides(space: dict[str, Any], values: list[tuple[Any, ...]]) -> Iterator[list[str]]:
    for chosen in product(*values):
        yield [f"{key}={value}" for key, value in zip(space, chosen, strict=True)]


def _deciding(key: str, choice: Any) -> tuple[Any, ...]:
    """All choices of a model, mode, … or of a word within one, such as a base's name; else one example."""
    if not isinstance(choice, tuple):
        return (choice.low,)
    words = all(one.isidentifier() for one in choice)
    return choice if key in unused_keys.GROUPS or (unused_keys.is_inside(key) and words) else choice[:1]
