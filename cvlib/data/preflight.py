"""Decode every image of a collection completely, together with its label, before training."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from cvlib.data import depth, grouping, images, label_codecs
from cvlib.data.depth import Range
from cvlib.data.findings import ERROR, Finding
from cvlib.data.labels import LabelKind, Settled
from cvlib.data.layouts.collection import Collection, Sample, name_of
from cvlib.data.packed import Codec, HexCodec, Packed, PathCodec
from cvlib.data.split import Split
from cvlib.runtime.errors import UserError
from cvlib.runtime.live import Bar

_BLOCK = 4096  # samples that wait for a thread


@dataclass(frozen=True, slots=True)
class SampleScan:
    """Properties of one sample, found by decoding it."""

    digest: str  # sha256 over the image file and its mask
    image_digest: str
    size: tuple[int, int]  # height, width
    grey: bool
    label: Settled
    span: Range | None = None  # smallest and largest value, if the image has more than 8 bits
    bands: int = 3
    thumbnail: bytes = field(default=b"", repr=False)


_Result = SampleScan | list[Finding]


@dataclass(frozen=True)
class CollectionScan:
    """The result of decoding every sample: the usable samples by split, the findings, and common properties."""

    splits: dict[str, Split]
    findings: list[Finding]
    size: tuple[int, int]  # median height, width
    channels: int  # 1 if every image is grey; more than 3 if all have that number of bands; else 3
    span: Range | None  # joint range of the training images, if all images have more than 8 bits
    deep: int  # number of images with more than 8 bits
    codec: Codec[Any] | None  # of the labels in `splits`, unless they are arrays


def scan_collection(collection: Collection, compare: bool = True) -> CollectionScan:
    """Decode every sample of the collection in parallel and leave out samples with errors.

    `compare` puts images that look the same into one group, so that splits don't separate them.

    Raises `UserError` if no sample is usable.
    """
    samples = [sample for split in collection.splits.values() for sample in split]
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        scanned = _in_blocks(pool, partial(scan_sample, collection, compare), samples)
        results = list(_with_progress(scanned, len(samples)))
    finally:
        pool.shutdown(cancel_futures=True)
    findings = [finding for result in results
                for finding in (result.label.findings if isinstance(result, SampleScan) else result)]  # fmt: skip
    good = {sample.name: result for sample, result in zip(samples, results, strict=True)
            if isinstance(result, SampleScan)}  # fmt: skip
    if not good:
        raise UserError(f"{collection.root}: no usable samples: {next(iter(findings), 'it is empty')}")
    groups = _groups([sample for sample in samples if sample.name in good], good, compare)
    codec = label_codecs.for_kind(collection.kind)
    splits = {name: _split([s for s in split if s.name in good], good, groups, collection.kind, codec)
             for name, split in collection.splits.items()}  # fmt: skip
    scans = list(good.values())
    height, width = (int(np.median([scan.size[axis] for scan in scans])) for axis in (0, 1))
    channels = 1 if all(scan.grey for scan in scans) else 3
    if len(bands := {scan.bands for scan in scans}) == 1 and max(bands) > 3:
        channels = bands.pop()
    deep = [scan for scan in scans if scan.span is not None]
    trained = [good[sample.name] for sample in collection.splits.get("train", []) if sample.name in good] or scans
    span = depth.joint([scan.span for scan in trained if scan.span is not None]) if len(deep) == len(scans) else None
    return CollectionScan(splits, findings, (height, width), channels, span, len(deep), codec)


def scan_sample(collection: Collection, compare: bool, sample: Sample) -> _Result:
    """Decode the sample and its label; return only the findings if the image or its label can't be used.

    The thumbnail, which takes most of the memory, is kept only to `compare` images.
    """
    try:
        content = images.content_of(sample.image)
        seen = images.look(sample.image, content)
    except UserError as error:
        message = str(error).removeprefix(f"{sample.image}: ")
        return [Finding(ERROR, "unreadable image", sample.name, message, "repair or remove it")]
    path = sample.name if sample.label_file is None else name_of(sample.label_file, collection.root)
    settled = collection.kind.settle(sample.label, seen.header, path)
    if settled.label is None:
        return settled.findings
    hashed = hashlib.sha256(content)
    digest = image_digest = hashed.hexdigest()
    if settled.content:
        hashed.update(settled.content)
        digest = hashed.hexdigest()
    kept = replace(settled, content=b"")
    return SampleScan(
        digest, image_digest, seen.size, seen.grey, kept, seen.span, seen.bands,
        seen.thumbnail if compare else b"",
    )  # fmt: skip


def _groups(samples: list[Sample], scans: dict[str, SampleScan], compare: bool) -> dict[str, int]:
    """Map each sample's name to the number of its group."""
    found = [scans[sample.name] for sample in samples]
    blank = bytes(images.THUMBNAIL**2)
    thumbnails = [scan.thumbnail or blank for scan in found] if compare else None
    numbers = grouping.together([sample.group for sample in samples], [scan.image_digest for scan in found], thumbnails)
    return dict(zip((sample.name for sample in samples), numbers.tolist(), strict=True))


def _split(
    samples: list[Sample], scans: dict[str, SampleScan], groups: dict[str, int], kind: LabelKind,
    codec: Codec[Any] | None,
) -> Split:  # fmt: skip
    own = [scans[sample.name] for sample in samples]
    labels, ids = kind.collected([scan.label for scan in own])
    digests = Packed.of((scan.digest for scan in own), HexCodec())
    with_masks = any(scan.digest != scan.image_digest for scan in own)
    image_digests = Packed.of((scan.image_digest for scan in own), HexCodec()) if with_masks else digests
    return Split(
        [sample.name for sample in samples],
        Packed.of((sample.image for sample in samples), PathCodec()),
        labels if codec is None else Packed.of(labels, codec),
        digests,
        np.array([scan.size for scan in own], np.int64).reshape(-1, 2),
        None if ids is None else Packed.of(ids, label_codecs.ClassSetCodec()),
        np.array([groups[sample.name] for sample in samples], np.int64),
        image_digests,
    )


def _in_blocks(pool: ThreadPoolExecutor, scan: Callable[[Sample], _Result], samples: list[Sample]) -> Iterator[_Result]:
    """Map `samples` in parallel, some at a time: a waiting call takes more memory than its result."""
    for start in range(0, len(samples), _BLOCK):
        yield from pool.map(scan, samples[start : start + _BLOCK])


def _with_progress(results: Iterable[_Result], total: int) -> Iterator[_Result]:
    progress = Bar("checking files", total)
    for done, result in enumerate(results, 1):
        yield result
        progress.show(done)
    progress.clear()
