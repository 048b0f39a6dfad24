"""Keys that were given and that the chosen model, mode, optimizer or schedule doesn't use. Pure: no Hydra, no files.

`python run.py model=resnet model.kernel=5` is refused, naming who has the key and the nearest one. In a sweep a key is
refused only if no job uses it; the jobs that don't use it leave it out.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cvlib.runtime.errors import UserError

GROUPS = ("model", "mode", "optimizer", "schedule")
_MOST_NAMED = 8
Owners = Callable[[str, str], list[str]]  # (group, key) → the answers that have it, such as resnet


class UnusedKeys(UserError):
    """Keys that the chosen answers don't use; `refusals` says so in one line for each key."""

    def __init__(self, refusals: Mapping[str, str]):
        super().__init__(next(iter(refusals.values())))
        self.refusals = dict(refusals)


def is_inside(key: str) -> bool:
    """Whether a key lies inside one of the groups: `model.kernel`, not `model`."""
    group, _, name = key.partition(".")
    return group in GROUPS and bool(name)


def unused(keys: Iterable[str], used: set[str]) -> list[str]:
    """Those of the keys that are neither used nor below or above a used one (`model.loss.dice`, `model.loss`)."""
    return [key for key in keys if is_inside(key) and not any(_same_branch(key, one) for one in used)]


def _same_branch(key: str, other: str) -> bool:
    return key == other or key.startswith(other + ".") or other.startswith(key + ".")


def answer(group: str, content: Mapping[str, Any], deciding: str | None = None) -> str:
    """The chosen answer in words: `model=resnet`; with the key that decides, `model=segmenter with encoder=vgg`."""
    return f"{group}={content.get('name')}" + (f" with {deciding}={content.get(deciding)}" if deciding else "")


def refusal(
    key: str, value: str, content: Mapping[str, Any], used: set[str], owners: Owners, deciding: str | None = None,
    having: list[str] | None = None,
) -> str:  # fmt: skip
    """One line for an override that isn't used: who has the key, and the nearest one of the chosen answer.

    Args:
        key: such as model.kernel.
        value: as it was written.
        content: the chosen answer's group, as composed.
        used: every used key of the config.
        owners: who has a key.
        deciding, having: if the same answer uses the key with other values of another one, that one, such as encoder,
            and these values.
    """
    group, _, name = key.partition(".")
    own = sorted(one for one in used if one.startswith(f"{group}."))
    terms = [f"{deciding}={one}" for one in having or []] or [f"{group}={one}" for one in owners(group, name)]
    chosen = answer(group, content, deciding)
    if not terms:
        close = difflib.get_close_matches(key, own, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(close)}?" if close else _nearest(key, own, chosen)
        return f"{key}={value}: there is no such key; {hint}"
    who = f"only {terms[0]} does" if len(terms) == 1 else f"{listed(terms)} do"
    everyone = owners(group, "name")
    special = [one for one in own if len(owners(group, one.partition(".")[2])) < len(everyone)]
    hint = f"; {_nearest(key, special, chosen)}" if special else ""
    return f"{key}={value}: {chosen} doesn't use this key; {who}{hint}"


def note(key: str, using: list[str], leaving: list[str]) -> str:
    """One line about jobs that leave a key out: `mode.backbone_lr applies to finetune: mode=scratch leaves it out`.

    `using` and `leaving` are answers in words, as from `answer`; those that use the key are named without their group.
    """
    names = ", ".join(one.partition("=")[2] for one in using)
    return f"{key} applies to {names}: {listed(leaving)} leave{'s' * (len(leaving) == 1)} it out"


def listed(terms: list[str]) -> str:
    """`model=cnn, vgg` for model=cnn and model=vgg: what they all share is said once, and at most eight are named."""
    parts, before = [], ""
    for term in terms[:_MOST_NAMED]:
        group, _, name = term.partition("=")
        parts.append(name if group == before else term)
        before = group
    return ", ".join(parts) + (", …" if len(terms) > _MOST_NAMED else "")


def _nearest(key: str, known: list[str], answer: str) -> str:
    """The most similar key, however little it resembles."""
    best = max(known, key=lambda one: difflib.SequenceMatcher(None, one, key).ratio())
    return f"the nearest key of {answer} is {best}"
