"""Find the keys of a config that its model, mode, optimizer and schedule use, and reject overrides of other keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cvlib.config import answers, unused_keys
from cvlib.config.schema import as_mapping
from cvlib.config.unused_keys import GROUPS, UnusedKeys
from cvlib.models import options
from cvlib.models.options import read_config
from cvlib.runs.flatten import flatten
from cvlib.runtime.errors import UserError


class Unused(NamedTuple):
    """Keys of a composed config that the run doesn't use and that are not overrides."""

    listed: list[str]  # listed in the chosen file itself, for another of its bases or heads
    foreign: list[str]  # set by another file, such as a study


def used_keys(composed: Any) -> set[str]:
    """Return the keys that a run uses, such as `model.depth`; raise `UserError` for an invalid config."""
    return set(flatten(as_mapping(read_config(composed))))


def alternatives(model: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the keys of a model that decide which other keys it uses, with all their values: encoder → [cnn, vgg]."""
    return options.deciding(model)


def owners(group: str, key: str) -> list[str]:
    """Return the choices of a group whose files list a key."""
    return answers.owners(group, key.partition(".")[0])


def find_unused(composed: Mapping[str, Any], given: Mapping[str, str]) -> Unused:
    """Find the keys of a config that the run doesn't use.

    Args:
        composed: the whole config of a run as a plain mapping.
        given: the overrides inside the groups: key → value as the user wrote it.

    Raises:
        UserError: if the name of a choice isn't a string.
        UnusedKeys: if an override isn't used, or if a file sets a key that no choice has.
    """
    for group in GROUPS:
        if not isinstance(name := composed[group].get("name"), str):
            raise UserError(f"invalid {group}.name={name}: expected a name")
    present = [f"{group}.{key}" for group in GROUPS for key in composed[group]]
    used = _used(composed)
    if used is None:  # perhaps because of a key that no choice has: try again without such keys
        used = _used(_without(composed, [key for key in present if not owners(*key.split(".", 1))]))
    if used is None:  # another error; checking the config reports it later
        return Unused([], [])
    unused = [key for key in unused_keys.unused(present, used) if key not in given]
    refused = {key: value for key, value in given.items() if unused_keys.unused([key], used)}
    refused |= {key: "…" for key in unused if not owners(*key.split(".", 1))}
    if refused:
        raise UnusedKeys({key: _refusal(key, value, composed, used) for key, value in refused.items()})
    listed = [key for key in unused if _lists(composed, key)]
    return Unused(listed, [key for key in unused if key not in listed])


def _used(composed: Mapping[str, Any]) -> set[str] | None:
    """Return the used keys, or None for an invalid config."""
    try:
        return used_keys(composed)
    except UserError:
        return None


def _without(composed: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    return {
        group: {name: value for name, value in content.items() if f"{group}.{name}" not in keys}
        if isinstance(content, Mapping)
        else content
        for group, content in composed.items()
    }


def _lists(composed: Mapping[str, Any], key: str) -> bool:
    """Return whether the file of the chosen model, mode, … lists a key."""
    group, _, name = key.partition(".")
    return name.partition(".")[0] in answers.keys(group, composed[group]["name"])


def _refusal(key: str, value: str, composed: Mapping[str, Any], used: set[str]) -> str:
    deciding, enabling = (
        _find_deciding_key(key, composed) if key.startswith("model.") and _lists(composed, key) else (None, [])
    )
    return unused_keys.refusal(key, value, composed[key.partition(".")[0]], used, owners, deciding, enabling)


def _find_deciding_key(key: str, composed: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    """Return the model key that decides whether `key` is used, and those of its values for which `key` is used."""
    model = composed["model"]
    for deciding, values in alternatives(model).items():
        used = {str(value): _used({**composed, "model": {**model, deciding: value}}) or set() for value in values}
        enabling = [value for value, keys in used.items() if not unused_keys.unused([key], keys)]
        if enabling:
            return deciding, enabling
    return None, []
