"""Before the first step: every image of a collection is decoded whole, once, together with its label."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from cvlib.data import images
from cvlib.data.dataset import Boxes, Labels, MaskReader, Split
from cvlib.data.findings import ERROR, Finding
from cvlib.data.layouts import boxes
from cvlib.data.layouts.collection import Collection, RawBoxes, Sample, name_of
from cvlib.runtime.clock import Progress
from cvlib.runtime.errors import UserError


@dataclass(frozen=True)
class Look:
    """What decoding one sample has shown."""

    digest: str  # sha256 of the image file, and of its mask
    image_digest: str
    size: tuple[int, int]  # height, width
    grey: bool
    label: int | Boxes | MaskReader
    findings: list[Finding]  # of its label
    ids: frozenset[int] = frozenset()  # in its mask


@dataclass(frozen=True)
class Facts:
    """What decoding every sample has shown: the good ones by part, the findings, and what they have in common."""

    parts: dict[str, Split]
    findings: list[Finding]
    size: tuple[int, int]  # median height, width
    channels: int  # 1 if every image is grey, else 3
    image_digests: dict[str, str] = field(repr=False)  # sha256 of each image file by the sample's name


def look_over(collection: Collection) -> Facts:
    """Decode every sample of the collection, in parallel; a sample that an error blames is left out.

    Raises `UserError` where none is left.
    """
    samples = [sample for part in collection.parts.values() for sample in part]
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        results = list(_with_progress(pool.map(partial(look, collection), samples), len(samples)))
    finally:
        pool.shutdown(cancel_futures=True)
    findings = [finding for result in results for finding in (result.findings if isinstance(result, Look) else result)]
    good = {sample.name: result for sample, result in zip(samples, results, strict=True) if isinstance(result, Look)}
    if not good:
        raise UserError(f"{collection.root}: no usable sample in it: {next(iter(findings), 'it is empty')}")
    parts = {name: _split([s for s in part if s.name in good], good, collection.task)
             for name, part in collection.parts.items()}  # fmt: skip
    looks = list(good.values())
    height, width = (int(np.median([look.size[axis] for look in looks])) for axis in (0, 1))
    channels = 1 if all(look.grey for look in looks) else 3
    return Facts(parts, findings, (height, width), channels, {name: one.image_digest for name, one in good.items()})


def look(collection: Collection, sample: Sample) -> Look | list[Finding]:
    """What decoding the sample shows; only findings where the image or its mask can't be used."""
    try:
        content = images.content_of(sample.image)
        header, image = images.decode_with_header(sample.image, content)
    except UserError as error:
        message = str(error).removeprefix(f"{sample.image}: ")
        return [Finding(ERROR, "unreadable image", sample.name, message, "repair it or take it out")]
    digest = hashlib.sha256(content)
    image_digest = digest.hexdigest()
    label: int | Boxes | MaskReader
    findings: list[Finding] = []
    ids: frozenset[int] = frozenset()
    path = sample.name if sample.label_file is None else name_of(sample.label_file, collection.root)
    if isinstance(sample.label, int):
        label = sample.label
    elif isinstance(sample.label, RawBoxes):
        label, findings = boxes.settle(sample.label, header, path)
    else:
        label = sample.label
        mask, findings = sample.label.examine(header, path)
        if mask is None:
            return findings
        digest.update(mask_bytes(mask))
        ids = frozenset(np.flatnonzero(np.bincount(mask.ravel())).tolist())
    size = (image.height, image.width)
    return Look(digest.hexdigest(), image_digest, size, images.is_grey(image), label, findings, ids)


def mask_bytes(mask: np.ndarray) -> bytes:
    """What tells masks apart, for a digest."""
    return repr(mask.shape).encode() + np.ascontiguousarray(mask, np.uint8).tobytes()


def _split(samples: list[Sample], looks: dict[str, Look], task: str) -> Split:
    found: list = [looks[sample.name].label for sample in samples]
    labels: Labels = np.array(found, np.int64) if task == "classification" else found
    digests = [looks[sample.name].digest for sample in samples]
    sizes = np.array([looks[sample.name].size for sample in samples], np.int64).reshape(-1, 2)
    ids = [looks[sample.name].ids for sample in samples] if task == "segmentation" else None
    return Split([s.name for s in samples], [s.image for s in samples], labels, digests, sizes, ids)


def _with_progress(results: Iterable[Look | list[Finding]], total: int) -> Iterator[Look | list[Finding]]:
    progress = Progress("looking at the files", total)
    for done, result in enumerate(results, 1):
        yield result
        progress.show(done)
    progress.clear()
