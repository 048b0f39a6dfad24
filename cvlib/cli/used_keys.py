"""Which keys of a composed config its model, mode, optimizer and schedule use; what else was given is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cvlib.cli import answers
from cvlib.config import unused_keys
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


def owners(group: str, key: str) -> list[str]:
    """The answers of a group whose files list a key."""
    return answers.owners(group, key.partition(".")[0])


def bases_with(key: str) -> list[str]:
    """Return the names of the backbones that have an option."""
    return [one.removeprefix("backbone=") for one in options.owners(key) if one.startswith("backbone=")]


def find_unused(composed: Mapping[str, Any], given: Mapping[str, str]) -> Unused:
    """Find the keys of a config that its chosen answers don't use.

    Args:
        composed: the whole config of a run, without Hydra's part.
        given: the overrides inside the groups, key → value as it was written.

    Raises:
        UnusedKeys: if an override, or a key of a file that no answer has, isn't used.
    """
    try:
        used = used_keys(composed)
    except UserError:  # a mistake of another kind, which is said when the config is checked
        return Unused([], [])
    present = [f"{group}.{key}" for group in GROUPS for key in composed[group]]
    unused = [key for key in unused_keys.unused(present, used) if key not in given]
    refused = {key: value for key, value in given.items() if unused_keys.unused([key], used)}
    refused |= {key: "…" for key in unused if not owners(*key.split(".", 1))}
    if refused:
        raise UnusedKeys({key: _refusal(key, value, composed, used) for key, value in refused.items()})
    listed = [key for key in unused if _lists(composed, key)]
    return Unused(listed, [key for key in unused if key not in listed])


def _lists(composed: Mapping[str, Any], key: str) -> bool:
    """Whether the file of the chosen answer lists a key."""
    group, _, name = key.partition(".")
    return name.partition(".")[0] in answers.keys(group, str(composed[group].get("name")))


def _refusal(key: str, value: str, composed: Mapping[str, Any], used: set[str]) -> str:
    group, _, name = key.partition(".")
    content = composed[group]
    base = unused_keys.base_key(content)

    def having(group: str, one: str) -> list[str]:
        bases = bases_with(one) if base and one == name and _lists(composed, key) else []
        return [f"{base}={found}" for found in bases] or owners(group, one)

    return unused_keys.refusal(key, value, content, used, having)
