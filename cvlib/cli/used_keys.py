"""Which keys of a composed config its model, mode, optimizer and schedule use; what else was given is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cvlib.cli import answers
from cvlib.config import unused_keys
from cvlib.config.unused_keys import GROUPS, UnusedKeys
from cvlib.runtime.errors import UserError


def used_keys(composed: Mapping[str, Any]) -> set[str]:
    """The keys that the chosen answers use, flat: `model.depth`. A key with a mapping for its value counts whole."""
    # CORE: replace the body by `return set(flatten(as_mapping(read_config(composed))))`; UserError is handled below.
    names = {group: composed[group].get("name") for group in GROUPS}
    for group, name in names.items():
        if not isinstance(name, str):
            raise UserError(f"{group}.name={name} isn't a name")
    return {f"{group}.{key}" for group, name in names.items() for key in answers.keys(group, name)}


def owners(group: str, key: str) -> list[str]:
    """The answers of a group that have a key."""
    # CORE: ask the option dataclasses here; a base's keys are given as "encoder=cnn".
    return answers.owners(group, key.partition(".")[0])


def leave_out(composed: dict[str, Any], given: Mapping[str, str]) -> list[str]:
    """Name the keys that files, such as a study's, set for answers that don't use them.

    Args:
        composed: the config as a plain mapping.
        given: the overrides inside the groups, key → value as it was written.

    Raises:
        UnusedKeys: if an override, or a key of a file that nobody has, isn't used.
    """
    try:
        used = used_keys(composed)
    except UserError:  # a mistake of another kind, which is said when the config is checked
        return []
    left_out = unused_keys.unused(_flat(composed), used)
    refused = {key: value for key, value in given.items() if unused_keys.unused([key], used)}
    refused |= {key: "…" for key in left_out if key not in given and not owners(*key.split(".", 1))}
    if refused:
        raise UnusedKeys({key: _refusal(key, value, composed, used) for key, value in refused.items()})
    return left_out


def _refusal(key: str, value: str, composed: Mapping[str, Any], used: set[str]) -> str:
    return unused_keys.refusal(key, value, composed[key.partition(".")[0]], used, owners)


def _flat(composed: Mapping[str, Any]) -> Iterator[str]:
    for group in GROUPS:
        for key in composed[group]:
            yield f"{group}.{key}"
