"""Divide samples into train, val and test (stratified, seeded, disjoint), take subsets, and select classes."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cvlib.config.schema import DataConfig
from cvlib.data import grouping
from cvlib.data.dataset import Dataset
from cvlib.data.labels import CLASS, IGNORE, LabelKind
from cvlib.data.split import Split, joined
from cvlib.runtime.errors import UserError

SPLITS = ("train", "val", "test")


def split(labels: np.ndarray, fractions: Sequence[float], seed: int) -> list[np.ndarray]:
    """Return disjoint, sorted index arrays, one per fraction, that together cover `labels` (n,).

    The first split is the training split. `fractions` sum to 1. A split's size is n × fraction, rounded by largest
    remainder, and so is each class's share of the split. For small data, these rules apply in order of priority:
    a split with a fraction above 0 is never empty if n ≥ the number of splits; every class keeps at least one sample in
    the first split; a held-out split shrinks before a class loses its last training sample.
    """
    assert abs(sum(fractions) - 1) < 1e-9, f"fractions {fractions} don't sum to 1"
    classes, members = np.unique(np.asarray(labels), return_inverse=True)
    rng = np.random.default_rng(seed)
    # A random order of the classes breaks ties between equal remainders, so that no class is always favoured.
    order = rng.permutation(len(classes))
    sizes = np.bincount(members, minlength=len(classes))[order]
    counts = _counts(sizes, np.asarray(fractions, float))
    pieces: list[list[np.ndarray]] = [[] for _ in fractions]
    for column, label in enumerate(order):
        shuffled = rng.permutation(np.flatnonzero(members == label))
        for piece, indices in zip(pieces, np.split(shuffled, np.cumsum(counts[:-1, column])), strict=True):
            piece.append(indices)
    splits = [np.sort(np.concatenate([np.empty(0, np.int64), *piece])) for piece in pieces]
    assert np.array_equal(np.sort(np.concatenate(splits)), np.arange(len(members))), "the splits overlap"
    return splits


def _counts(sizes: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Return the number of samples per split and class: int (splits, classes); columns sum to `sizes`."""
    totals = _totals(sizes, fractions)
    counts = np.zeros((len(fractions), len(sizes)), np.int64)
    # A class's rounding error in one split is carried over to the next.
    carry = np.zeros(len(sizes))
    for split in range(1, len(fractions)):
        left = sizes - counts.sum(axis=0)
        spare = np.maximum(left - 1, 0)
        room = spare if spare.sum() >= totals[split] else left
        quotas = sizes * fractions[split] + carry
        counts[split] = _apportion(quotas, totals[split], room)
        carry = quotas - counts[split]
    counts[0] = sizes - counts.sum(axis=0)
    return counts


def _totals(sizes: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Return the sizes of the splits, int (splits,)."""
    total = int(sizes.sum())
    totals: np.ndarray = _apportion(total * fractions, total, np.full(len(fractions), total))
    minimum = (fractions > 0) & (total >= len(fractions))
    minimum[0] = False
    totals = np.maximum(totals, minimum)
    affordable = max(int(np.maximum(sizes - 1, 0).sum()), int(minimum.sum()))
    while totals[1:].sum() > affordable:
        totals[1 + int(np.argmax(totals[1:]))] -= 1
    totals[0] = total - totals[1:].sum()
    return totals


def _apportion(quotas: np.ndarray, total: int, room: np.ndarray) -> np.ndarray:
    """Round `quotas` by largest remainder to whole numbers that sum to `total`, each of them at most its `room`."""
    given: np.ndarray = np.minimum(np.maximum(np.floor(quotas), 0), room).astype(np.int64)
    while given.sum() > total:
        given[np.argmin(np.where(given > 0, quotas - given, np.inf))] -= 1
    while given.sum() < total:
        given[np.argmax(np.where(given < room, quotas - given, -np.inf))] += 1
    return given


def nested(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Return sorted indices of a stratified `fraction` of `labels` (n,), with at least one sample per class.

    For a given seed, a smaller fraction is a subset of a larger one. The seed fixes an order of all samples in which
    each class is spread evenly, and a fraction takes the first samples of that order.
    """
    labels = np.asarray(labels)
    rng = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        place[members] = (np.arange(len(members)) + rng.random()) / len(members)
        place[members[0]] = -1
    count = max(round(fraction * len(labels)), int((place == -1).sum()))
    return np.sort(np.argsort(place, kind="stable")[:count])


def hold_out(
    pool: Split, given: dict[str, Split], config: DataConfig, kind: LabelKind = CLASS
) -> list[Split]:  # fmt: skip
    """Return train, val and test, stratified by `kind`; each group of `pool` stays in one split.

    Splits in `given` stay unchanged, and the others are drawn from `pool`. With `data.folds`, all samples are divided
    into that many folds: fold number `data.fold` is the test split, and val is drawn from the rest.
    """
    if config.folds is not None:
        return _fold(joined([pool, *given.values()]), config, kind)
    wanted = {"val": config.val_fraction, "test": config.test_fraction}
    wanted = {name: share for name, share in wanted.items() if name not in given}
    pieces = _pieces(pool, [1 - sum(wanted.values()), *wanted.values()], config.split_seed, kind)
    made = dict(zip(["train", *wanted], pieces, strict=True)) | given
    return [made[name] for name in SPLITS]


def _fold(everything: Split, config: DataConfig, kind: LabelKind) -> list[Split]:
    count, fold = int(config.folds or 0), config.fold
    if fold >= count:
        raise UserError(f"Invalid data.fold={fold}: expected 0 to {count - 1} with data.folds={count}")
    if len(everything) < count:
        raise UserError(f"data.folds={count}: only {len(everything)} images, and every fold needs one")
    folds = _pieces(everything, [1 / count] * count, config.split_seed, kind)
    rest = joined([piece for number, piece in enumerate(folds) if number != fold])
    train, val = _pieces(rest, [1 - config.val_fraction, config.val_fraction], config.split_seed, kind)
    return [train, val, folds[fold]]


def _pieces(pool: Split, fractions: Sequence[float], seed: int, kind: LabelKind) -> list[Split]:
    strata = kind.strata(pool.labels)
    if pool.groups is None or len(np.unique(pool.groups)) == len(pool):
        return [pool.take(piece) for piece in split(strata, fractions, seed)]
    return [pool.take(piece) for piece in grouping.split(strata, pool.groups, fractions, seed)]


def divided_as(dataset: Dataset, listed: dict[str, list[str]]) -> Dataset:
    """Return the dataset divided according to `listed`, the split list of an earlier run.

    Samples that are not listed are left out, and listed samples may be missing; notes state the number of both.

    Args:
        dataset: a dataset of all samples, as returned by `cvlib.data.undivided`; its own splits are ignored.
        listed: maps "train", "val" and "test" to names of samples.

    Raises `UserError` if a split would be empty.
    """
    pool = joined(list(dataset.splits.values()))
    positions = {name: index for index, name in enumerate(pool.names)}
    missing = [name for names in listed.values() for name in names if name not in positions]
    known = {name for names in listed.values() for name in names}
    new = [name for name in pool.names if name not in known]
    splits = {name: pool.take([positions[sample] for sample in listed.get(name, []) if sample in positions])
              for name in SPLITS}  # fmt: skip
    for name, samples in splits.items():
        if not len(samples):
            raise UserError(f"data={dataset.name}: all of the run's {name} images are missing"
                            f"{_such_as(listed.get(name, []))}: restore them, or choose other data")  # fmt: skip
    notes = [f"{len(new)} images are not in the run's split list and are left out{_such_as(new)}"] if new else []
    notes += [f"{len(missing)} images of the run's split list are missing{_such_as(missing)}"] if missing else []
    return replace(
        dataset, train=splits["train"], val=splits["val"], test=splits["test"], notes=[*dataset.notes, *notes]
    )


def keep_apart(dataset: Dataset, earlier: dict[str, list[str]]) -> Dataset:
    """Move all val and test samples that an earlier run was trained on to train, and return the new dataset.

    Args:
        dataset: the loaded dataset.
        earlier: the split list of the run whose weights are loaded: names of samples by split.

    Raises `UserError` if val or test would be empty.
    """
    trained = set(earlier.get("train", []))
    splits, moved, counts = {}, [], []
    for split in SPLITS[1:]:
        held_out = dataset.splits[split]
        seen = np.array([name in trained for name in held_out.names], bool)
        splits[split] = held_out.take(np.flatnonzero(~seen))
        if not len(splits[split]):
            raise UserError(f"data={dataset.name}: the run that produced the weights was trained on every {split} "
                            "image: use its data.split_seed, or weights trained on other images")  # fmt: skip
        if seen.any():
            moved.append(held_out.take(np.flatnonzero(seen)))
            counts.append(f"{int(seen.sum())} of {len(held_out)} {split}")
    if not moved:
        return dataset
    note = f"{', '.join(counts)} images moved to train, because the loaded weights were trained on them"
    train = joined([dataset.train, *moved])
    return replace(dataset, train=train, val=splits["val"], test=splits["test"], notes=[*dataset.notes, note])


def _such_as(names: list[str]) -> str:
    return f" (such as {names[0]})" if names else ""


def check_chosen(classes: list[str], chosen: list[str], least: int) -> None:
    """Raise `UserError` if a chosen class is unknown or chosen twice, or if fewer than `least` classes are chosen."""
    for name in chosen:
        if name not in classes:
            near = difflib.get_close_matches(name, classes, n=3, cutoff=0.5) or classes[:10]
            raise UserError(f"data.classes: unknown class {name!r}; similar names: {', '.join(near)}")
    if len(set(chosen)) < max(least, len(chosen)):
        count = {1: "one class", 2: "two classes"}[least]
        raise UserError(f"data.classes=[{', '.join(chosen)}]: name at least {count}, each once")


def choose_classes(
    classes: list[str], splits: list[Split], chosen: list[str], kind: LabelKind = CLASS
) -> tuple[list[str], list[Split]]:
    """Return the `chosen` classes and the splits reduced to them.

    The kind of label decides what happens to other classes. CLASS keeps only images of the chosen classes. BOXES keeps
    every image, but only boxes of the chosen classes. MASK keeps every image; pixels of other classes become background
    if class 0 is a background and remains class 0, otherwise they are ignored. Raises `UserError` like `check_chosen`.
    """
    check_chosen(classes, chosen, kind.fewest_chosen)
    table = kind.numbers(classes, chosen)
    return list(chosen), [kind.renumbered(split, table) for split in splits]


def renumber(split: Split, classes: list[str], wanted: list[str], kind: LabelKind) -> Split:
    """Return the split with its class ids renumbered from `classes` to `wanted`, which contains all these names."""
    table = np.full(max(len(classes), IGNORE + 1), IGNORE, np.int64)
    table[: len(classes)] = [wanted.index(name) for name in classes]
    return kind.renumbered(split, table)
