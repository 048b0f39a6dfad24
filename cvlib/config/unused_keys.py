"""Find overrides that the chosen model, mode, optimizer or schedule doesn't use. Uses neither Hydra nor files.

`python run.py model=resnet model.kernel=5` is refused; the message names the answers that have the key, and the
nearest key. In a sweep, a key is refused only if no job uses it; the jobs that don't use it leave it out.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cvlib.runtime.errors import UserError

GROUPS = ("model", "mode", "optimizer", "schedule")
_MAX_NAMED = 8
Owners = Callable[[str, str], list[str]]  # (group, key) → the answers that have it, such as resnet


class UnusedKeys(UserError):
    """Raised for keys that the chosen answers don't use; `refusals` maps each key to a one-line message."""

    def __init__(self, refusals: Mapping[str, str]):
        super().__init__(next(iter(refusals.values())))
        self.refusals = dict(refusals)


def is_inside(key: str) -> bool:
    """Return whether a key lies inside one of the groups: `model.kernel`, not `model`."""
    group, _, name = key.partition(".")
    return group in GROUPS and bool(name)


def unused(keys: Iterable[str], used: set[str]) -> list[str]:
    """Return the keys that are neither used nor below or above a used key (`model.loss.dice`, `model.loss`)."""
    return [key for key in keys if is_inside(key) and not any(_same_branch(key, other) for other in used)]


def _same_branch(key: str, other: str) -> bool:
    return key == other or key.startswith(other + ".") or other.startswith(key + ".")


def answer(group: str, content: Mapping[str, Any], deciding: str | None = None) -> str:
    """Return the chosen answer as text: `model=resnet`, or with a deciding key `model=segmenter with encoder=vgg`."""
    return f"{group}={content.get('name')}" + (f" with {deciding}={content.get(deciding)}" if deciding else "")


def refusal(
    key: str, value: str, content: Mapping[str, Any], used: set[str], owners: Owners, deciding: str | None = None,
    enabling: list[str] | None = None,
) -> str:  # fmt: skip
    """Return one line for an unused override: which answers have the key, and the chosen answer's nearest key.

    Args:
        key: the override's key, such as model.kernel.
        value: its value, as written.
        content: the chosen answer's group, as composed.
        used: all used keys of the config.
        owners: returns the answers that have a key.
        deciding, enabling: a key of the same answer that decides whether `key` is used, such as encoder, and those of
            its values for which `key` is used.
    """
    group, _, name = key.partition(".")
    own = sorted(other for other in used if other.startswith(f"{group}."))
    terms = [f"{deciding}={other}" for other in enabling or []] or [f"{group}={owner}" for owner in owners(group, name)]
    chosen = answer(group, content, deciding)
    if not terms:
        close = difflib.get_close_matches(key, own, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(close)}?" if close else _nearest(key, own, chosen)
        return f"{key}={value}: there is no such key; {hint}"
    who = f"only {terms[0]} does" if len(terms) == 1 else f"{listed(terms)} do"
    everyone = owners(group, "name")
    special = [other for other in own if len(owners(group, other.partition(".")[2])) < len(everyone)]
    hint = f"; {_nearest(key, special, chosen)}" if special else ""
    return f"{key}={value}: {chosen} doesn't use this key; {who}{hint}"


def note(key: str, using: list[str], leaving: list[str]) -> str:
    """Describe the jobs that leave out a key: `mode.backbone_lr applies to finetune: mode=scratch leaves it out`.

    `using` and `leaving` are answers as text from `answer`. The answers that use the key are named without their
    group.
    """
    names = ", ".join(text.partition("=")[2] for text in using)
    return f"{key} applies to {names}: {listed(leaving)} leave{'s' * (len(leaving) == 1)} it out"


def listed(terms: list[str]) -> str:
    """Return `model=cnn, vgg` for model=cnn and model=vgg.

    A repeated group is named once. At most eight terms are named.
    """
    parts, before = [], ""
    for term in terms[:_MAX_NAMED]:
        group, _, name = term.partition("=")
        parts.append(name if group == before else term)
        before = group
    return ", ".join(parts) + (", …" if len(terms) > _MAX_NAMED else "")


def _nearest(key: str, known: list[str], answer: str) -> str:
    """Return a hint that names the most similar key, even if the similarity is low."""
    best = max(known, key=lambda other: difflib.SequenceMatcher(None, other, key).ratio())
    return f"the nearest key of {answer} is {best}"
