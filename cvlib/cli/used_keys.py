"""Which keys of a composed config its model, mode, optimizer and schedule use; what else was given is refused."""

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
    """Keys of a composed config that its answers don't use, and that nobody gave as an override."""

    listed: list[str]  # by the answer's own file, for another base or head of it
    foreign: list[str]  # set by another file, such as a study's


def used_keys(composed: Any) -> set[str]:
    """Return the keys that the chosen answers use, flat: `model.depth`. Raise `UserError` for an invalid config."""
    return set(flatten(as_mapping(read_config(composed))))


def alternatives(model: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the keys of a model that decide which others it uses, with all their values: encoder → [cnn, vgg]."""
    return options.deciding(model)


def owners(group: str, key: str) -> list[str]:
    """The answers of a group whose files list a key."""
    return answers.owners(group, key.partition(".")[0])


def find_unused(composed: Mapping[str, Any], given: Mapping[str, str]) -> Unused:
    """Find the keys of a config that its chosen answers don't use.

    Args:
        composed: the whole config of a run as a plain mapping.
        given: the overrides inside the groups, key → value as it was written.

    Raises:
        UserError: if an answer's name isn't a word.
        UnusedKeys: if an override, or a key of a file that no answer has, isn't used.
    """
    for group in GROUPS:
        if not isinstance(name := composed[group].get("name"), str):
            raise UserError(f"invalid {group}.name={name}: expected a name")
    present = [f"{group}.{key}" for group in GROUPS for key in composed[group]]
    used = _used(composed)
    if used is None:  # perhaps for a key that nobody has: then the others tell
        used = _used(_without(composed, [key for key in present if not owners(*key.split(".", 1))]))
    if used is None:  # a mistake of another kind, which is said when the config is checked
        return Unused([], [])
    unused = [key for key in unused_keys.unused(present, used) if key not in given]
    refused = {key: value for key, value in given.items() if unused_keys.unused([key], used)}
    refused |= {key: "…" for key in unused if not owners(*key.split(".", 1))}
    if refused:
        raise UnusedKeys({key: _refusal(key, value, composed, used) for key, value in refused.items()})
    listed = [key for key in unused if _lists(composed, key)]
    return Unused(listed, [key for key in unused if key not in listed])


def _used(composed: Mapping[str, Any]) -> set[str] | None:
    """The used keys, or None for a config that isn't one."""
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
    """Whether the file of the chosen answer lists a key."""
    group, _, name = key.partition(".")
    return name.partition(".")[0] in answers.keys(group, composed[group]["name"])


def _refusal(key: str, value: str, composed: Mapping[str, Any], used: set[str]) -> str:
    deciding, having = _deciding(key, composed) if key.startswith("model.") and _lists(composed, key) else (None, [])
    return unused_keys.refusal(key, value, composed[key.partition(".")[0]], used, owners, deciding, having)


def _deciding(key: str, composed: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    """The key of the model by which it uses another key or doesn't, and the values with which it does."""
    model = composed["model"]
    for one, values in alternatives(model).items():
        used = {str(value): _used({**composed, "model": {**model, one: value}}) or set() for value in values}
        having = [value for value, keys in used.items() if not unused_keys.unused([key], keys)]
        if having:
            return one, having
    return None, []
