"""`data.merge`: treat several classes of a dataset as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cvlib.data.labels import LabelKind
from cvlib.data.split import Split
from cvlib.data.splits import renumber
from cvlib.runtime.errors import UserError


def merge(
    classes: list[str], splits: list[Split], groups: Mapping[str, Sequence[str]], kind: LabelKind
) -> tuple[list[str], list[Split]]:  # fmt: skip
    """Return the classes after merging, and the splits with their labels.

    A merged class takes the place of its first member; all other classes keep their order.

    Args:
        classes: the dataset's class names by id.
        splits: splits with labels of these classes.
        groups: maps each new class to the classes that it replaces.
        kind: the kind of the labels.

    Raises `UserError` for an unknown class, for a class that is merged twice, for a new name that another class
    already has, and if only one class is left for a kind that needs two.
    """
    names = merged_names(classes, groups)
    left = list(dict.fromkeys(names))
    if len(left) < kind.fewest_chosen:
        raise UserError(f"data.merge leaves only one class ({left[0]}): expected at least {kind.fewest_chosen}")
    return left, [renumber(split, names, left, kind) for split in splits]


def merged_names(classes: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the name that each class has after merging; raise `UserError` as `merge` does."""
    new = {name: name for name in classes}
    merged: dict[str, str] = {}  # class → its new name
    for name, members in groups.items():
        for member in members:
            if member not in new:
                raise UserError(f"data.merge={{{name}: …}}: there is no class {member!r}; the classes are "
                                f"{', '.join(classes[:10])}{', …' * (len(classes) > 10)}")  # fmt: skip
            if merged.setdefault(member, name) != name:
                raise UserError(f"data.merge: {member} is merged into {merged[member]} and into {name}: choose one")
            new[member] = name
        if name in classes and name not in members:
            raise UserError(f"data.merge={{{name}: …}}: {name} is already a class: list it among the members, or "
                            "choose another name")  # fmt: skip
    return [new[name] for name in classes]
