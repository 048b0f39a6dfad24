"""Groups of samples that must stay in one split: samples of one patient, video or site, and look-alike images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cvlib.data.layouts.collection import Collection, Sample
from cvlib.data.near_duplicates import near_pairs
from cvlib.runtime.errors import UserError

# Maximum share of all images in one group of look-alikes. Above it, appearance is ignored: only exact copies and the
# user's own groups stay together.
_LARGEST_SHARE = 0.1


def assign(collection: Collection, group: int | str) -> None:
    """Set the group of every sample according to `data.group`, unless the collection's table defines groups.

    Args:
        collection: the collection; its samples are replaced in place.
        group: a folder level in the samples' names, 1 for the first folder and −1 for the image's own folder; or a
            regular expression to search for in the names. The group is the text that its parentheses match or, without
            parentheses, the whole match.

    Raises `UserError` for an invalid expression, and for a name that lacks the level or doesn't match.
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
    if not folders:
        raise UserError(f"data.group={level}: {sample.name} is not in a folder: choose a pattern for the names instead")
    if not -len(folders) <= level <= len(folders) or level == 0:
        raise UserError(f"data.group={level}: {sample.name} has folder depth {len(folders)}: choose a level from 1 to "
                        f"{len(folders)}, or −1 for the image's own folder")  # fmt: skip
    return "/".join(folders[: level if level > 0 else len(folders) + level + 1])


def _match(sample: Sample, pattern: re.Pattern[str] | None, group: str) -> str:
    match = pattern.search(sample.name) if pattern else None
    if match is None:
        raise UserError(f"data.group={group}: the table has no column of that name, and {sample.name} doesn't match it "
                        "as a regular expression: use a column, a folder level such as 1, or an expression such as "
                        "'patient[0-9]+'")  # fmt: skip
    return "|".join(part or "" for part in match.groups()) if match.groups() else match.group()


def together(
    keys: Sequence[str | None], digests: Sequence[str], thumbnails: Sequence[bytes] | None
) -> np.ndarray:  # fmt: skip
    """Return a number for each sample, int `(n,)`: samples with equal numbers must stay in one split.

    Args:
        keys: the samples' groups; None for a sample without one.
        digests: hashes of the image files; files with equal hashes are copies.
        thumbnails: thumbnails for `near_pairs`, which finds copies that were re-encoded, resized or mirrored. None
            ignores appearance.
    """
    certain = [*_first_of_equals(keys), *_first_of_equals(digests)]
    if thumbnails is None:
        return _components(len(keys), certain)
    near = [(later, earlier) for later, earlier, _ in near_pairs(list(thumbnails))]
    numbers = _components(len(keys), [*certain, *near])
    limit = _LARGEST_SHARE * len(keys)
    largest = np.bincount(numbers).max(initial=0)
    if largest > max(limit, 2) and largest > np.bincount(_components(len(keys), certain)).max(initial=0):
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
    """Return disjoint, sorted index arrays, one per fraction; each of them contains only whole groups.

    Large groups are placed first, each in the split that still needs its classes most. This keeps the splits' sizes
    and class shares close to `fractions`. Every split with a fraction above 0 gets a group. The first split is the
    training split: it gets samples of every class, if a group can be moved to it without emptying another split.

    Args:
        strata: the stratum of each sample, int `(n,)`.
        groups: the group of each sample, int `(n,)`; samples with equal numbers stay together.
        fractions: each split's share of the samples; the shares sum to 1.
        seed: determines the order of groups of equal size.

    Raises `UserError` if there are fewer groups than splits.
    """
    _, members = np.unique(groups, return_inverse=True)
    _, classes = np.unique(strata, return_inverse=True)
    units = np.zeros((members.max() + 1, classes.max() + 1), np.int64)
    np.add.at(units, (members, classes), 1)
    shares = np.asarray(fractions, float)
    if len(units) < np.count_nonzero(shares):
        raise UserError(f"only {len(units)} groups for {np.count_nonzero(shares)} splits: groups can't be divided, so "
                        "add groups or choose another data.group")  # fmt: skip
    place = _placed(units, shares, np.random.default_rng(seed))
    return [np.flatnonzero(place[members] == number) for number in range(len(shares))]


def _placed(units: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the split of each group, int `(groups,)`; `units` `(groups, classes)` counts its samples by class."""
    totals = np.maximum(units.sum(axis=0), 1)
    wanted = np.outer(shares, units.sum(axis=0)).astype(float)
    order = rng.permutation(len(units))
    order = order[np.argsort(-units[order].sum(axis=1), kind="stable")]
    place = np.zeros(len(units), np.int64)
    single = int((units.sum(axis=1) == 1).sum())
    for unit in order[: len(order) - single]:
        missing = (wanted * units[unit] / totals).sum(axis=1)
        place[unit] = int(np.argmax(np.where(shares > 0, missing, -np.inf)))
        wanted[place[unit]] -= units[unit]
    alone = order[len(order) - single :]
    place[alone] = _placed_alone(units[alone].argmax(axis=1), wanted, totals, shares)
    _fill_empty(units, shares, place)
    _train_every_class(units, place)
    return place


def _placed_alone(classes: np.ndarray, wanted: np.ndarray, totals: np.ndarray, shares: np.ndarray) -> list[int]:
    """Return the splits of groups of one sample by the same rule; they are most groups, and NumPy is slow for each."""
    splits, missing, sizes = np.flatnonzero(shares > 0).tolist(), wanted.T.tolist(), totals.tolist()
    place = []
    for label in classes.tolist():
        own, size = missing[label], sizes[label]
        chosen = max(splits, key=lambda split: own[split] / size)
        own[chosen] -= 1
        place.append(chosen)
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
