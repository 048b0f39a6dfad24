"""Samples that must stay in one split: those of one patient, video or site, and images that look the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cvlib.data.layouts.collection import Collection, Sample
from cvlib.runtime.errors import UserError

# If one set of look-alikes holds a larger share of the images, looks don't separate them, and only copies count.
_LARGEST_SHARE = 0.1


def assign(collection: Collection, group: int | str) -> None:
    """Give every sample its group by `data.group`, unless the collection's table has done so.

    Args:
        collection: whose samples are replaced.
        group: a level of the folders in the samples' names: 1 for the first, −1 for the image's own; or a regular
            expression that is searched in the names: what its parentheses match, or all that matches, is the group.

    Raises `UserError` for an invalid expression, and for a name without the level or the match.
    """
    if any(sample.group is not None for samples in collection.splits.values() for sample in samples):
        return
    pattern = None if isinstance(group, int) else _pattern(group)
    for split, samples in collection.splits.items():
        collection.splits[split] = [
            replace(sample, group=_level(sample, group) if isinstance(group, int) else _match(sample, pattern, group))
            for sample in samples
        ]


def _pattern(group: str) -> re.Pattern[str]:
    try:
        return re.compile(group)
    except re.error as error:
        raise UserError(
            f"data.group={group}: no column of that name, and not a valid regular expression ({error})"
        ) from None


def _level(sample: Sample, level: int) -> str:
    folders = sample.name.split("/")[:-1]
    if not -len(folders) <= level <= len(folders) or level == 0:
        raise UserError(f"data.group={level}: {sample.name} lies in {len(folders)} folders: choose a level from 1 to "
                        f"{len(folders)}, or −1 for the image's own folder")  # fmt: skip
    return "/".join(folders[: level if level > 0 else len(folders) + level + 1])


def _match(sample: Sample, pattern: re.Pattern[str] | None, group: str) -> str:
    match = pattern.search(sample.name) if pattern else None
    if match is None:
        raise UserError(f"data.group={group}: the table has no column of that name, and {sample.name} doesn't match it "
                        "as a regular expression: give a column, a folder level such as 1, or an expression such as "
                        "'patient[0-9]+'")  # fmt: skip
    return "|".join(part or "" for part in match.groups()) if match.groups() else match.group()


def together(
    keys: Sequence[str | None], digests: Sequence[str], thumbnails: Sequence[bytes] | None
) -> np.ndarray:  # fmt: skip
    """Return a number for each sample, int `(n,)`: samples with equal numbers must stay in one split.

    Args:
        keys: the samples' groups; None for a sample without one.
        digests: of the image files; equal ones are copies.
        thumbnails: as `near_pairs` compares them: copies that were encoded again, resized or mirrored look the same.
            None leaves looks out.
    """
    from cvlib.data.check.copies import near_pairs

    certain = [*_first_of_equals(keys), *_first_of_equals(digests)]
    if thumbnails is None:
        return _components(len(keys), certain)
    near = [(later, earlier) for later, earlier, _ in near_pairs(list(thumbnails))]
    numbers = _components(len(keys), [*certain, *near])
    limit = _LARGEST_SHARE * len(keys)
    grown = np.bincount(numbers).max(initial=0)
    if grown > max(limit, 2) and grown > np.bincount(_components(len(keys), certain)).max(initial=0):
        return _components(len(keys), certain)
    return numbers


def _first_of_equals(values: Sequence[str | None]) -> list[tuple[int, int]]:
    first: dict[str, int] = {}
    return [(index, first.setdefault(value, index)) for index, value in enumerate(values) if value is not None]


def _components(count: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.array(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
    numbers: np.ndarray = connected_components(graph, directed=False)[1].astype(np.int64)
    return numbers


def split(strata: np.ndarray, groups: np.ndarray, fractions: Sequence[float], seed: int) -> list[np.ndarray]:
    """Disjoint, sorted index arrays, one for each fraction, with every group whole in one of them.

    Large groups are placed first, each where its classes are missing most, so that the splits' sizes and classes come
    as near to `fractions` as the groups allow. The first split trains: it gets some of every class, if the class is in
    more than one group, and every split with a fraction above 0 gets a group.

    Args:
        strata: what to stratify by, int `(n,)`.
        groups: equal numbers stay together, int `(n,)`.
        fractions: of the samples; they sum to 1.
        seed: of the order of groups of equal size.

    Raises `UserError` if there are fewer groups than splits.
    """
    _, members = np.unique(groups, return_inverse=True)
    _, classes = np.unique(strata, return_inverse=True)
    units = np.zeros((members.max() + 1, classes.max() + 1), np.int64)
    np.add.at(units, (members, classes), 1)
    shares = np.asarray(fractions, float)
    if len(units) < np.count_nonzero(shares):
        raise UserError(f"only {len(units)} groups for {np.count_nonzero(shares)} splits: a group isn't divided, so "
                        "add groups or choose another data.group")  # fmt: skip
    place = _placed(units, shares, np.random.default_rng(seed))
    return [np.flatnonzero(place[members] == number) for number in range(len(shares))]


def _placed(units: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The split of each unit, int `(units,)`; `units` counts the samples of each class in it."""
    totals = np.maximum(units.sum(axis=0), 1)
    wanted = np.outer(shares, units.sum(axis=0)).astype(float)
    order = rng.permutation(len(units))
    order = order[np.argsort(-units[order].sum(axis=1), kind="stable")]
    place = np.zeros(len(units), np.int64)
    for unit in order:
        missing = (wanted * units[unit] / totals).sum(axis=1)
        place[unit] = int(np.argmax(np.where(shares > 0, missing, -np.inf)))
        wanted[place[unit]] -= units[unit]
    _fill_empty(units, shares, place)
    _train_every_class(units, place)
    return place


def _fill_empty(units: np.ndarray, shares: np.ndarray, place: np.ndarray) -> None:
    for empty in [number for number in np.flatnonzero(shares > 0) if not np.any(place == number)]:
        fullest = np.argmax(np.bincount(place, minlength=len(shares)))
        candidates = np.flatnonzero(place == fullest)
        place[candidates[np.argmin(units[candidates].sum(axis=1))]] = empty


def _train_every_class(units: np.ndarray, place: np.ndarray) -> None:
    for label in np.flatnonzero(units[place == 0].sum(axis=0) == 0):
        candidates = [unit for unit in np.flatnonzero(units[:, label]) if np.count_nonzero(place == place[unit]) > 1]
        if candidates:
            place[min(candidates, key=lambda unit: int(units[unit].sum()))] = 0
