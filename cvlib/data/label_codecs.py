"""How labels of each kind are packed, in memory and in the index."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.data.labels import BOXES, CLASS_SET, MASK, Boxes, LabelKind
from cvlib.data.layouts.label_map import LabelMap
from cvlib.data.layouts.mask_file import MaskFile, MaskUnion
from cvlib.data.layouts.painted import Painted
from cvlib.data.packed import Codec

_ROW = np.dtype([("corners", "<f4", (4,)), ("class", "<i4"), ("crowd", "?")])


def for_kind(kind: LabelKind) -> Codec[Any] | None:
    """Return a new codec for the labels of a kind; None if they are an array."""
    made: dict[LabelKind, type[Codec[Any]]] = {CLASS_SET: ClassSetCodec, BOXES: BoxCodec, MASK: MaskCodec}
    return made[kind]() if kind in made else None


@dataclass(frozen=True)
class ClassSetCodec:
    """Sets of class ids."""

    def encode(self, item: frozenset[int]) -> bytes:
        return np.array(sorted(item), "<i4").tobytes()

    def decode(self, data: bytes) -> frozenset[int]:
        return frozenset(np.frombuffer(data, "<i4").tolist())


@dataclass(frozen=True)
class BoxCodec:
    """`Boxes` as a byte that tells whether areas are known, a row per box, and the areas."""

    def encode(self, item: Boxes) -> bytes:
        rows = np.empty(len(item), _ROW)
        rows["corners"], rows["class"], rows["crowd"] = item.corners, item.classes, item.crowd
        areas = b"" if item.areas is None else np.asarray(item.areas, "<f8").tobytes()
        return bytes([item.areas is not None]) + rows.tobytes() + areas

    def decode(self, data: bytes) -> Boxes:
        count = (len(data) - 1) // (_ROW.itemsize + 8 * data[0])
        rows = np.frombuffer(data, _ROW, count, 1)
        areas = np.frombuffer(data, "<f8", count, 1 + rows.nbytes).copy() if data[0] else None
        return Boxes(rows["corners"].copy(), rows["class"].astype(np.int64), rows["crowd"].copy(), areas)


@dataclass
class MaskCodec:
    """Mask readers as JSON; a label map is stored once for all readers that share it."""

    label_maps: list[LabelMap] = field(default_factory=list)

    def encode(self, item: MaskFile | MaskUnion | Painted) -> bytes:
        if isinstance(item, Painted):
            written: list[Any] = ["painted", str(item.image), item.objects, item.size, item.relative]
        else:
            if item.label_map not in self.label_maps:
                self.label_maps.append(item.label_map)
            number = self.label_maps.index(item.label_map)
            form, paths = ("file", (item.path,)) if isinstance(item, MaskFile) else ("union", item.paths)
            written = [form, str(item.image), [str(path) for path in paths], number]
        return json.dumps(written, separators=(",", ":")).encode()

    def decode(self, data: bytes) -> MaskFile | MaskUnion | Painted:
        form, image, *rest = json.loads(data)
        if form == "painted":
            objects, size, relative = rest
            return Painted(Path(image), [tuple(item) for item in objects], size and tuple(size), relative)
        files, number = rest
        paths, label_map = tuple(map(Path, files)), self.label_maps[number]
        if form == "file":
            return MaskFile(paths[0], Path(image), label_map)
        return MaskUnion(paths, Path(image), label_map)


def maps_as_json(codec: Codec[Any] | None) -> list[Any]:
    """Return the label maps of a codec for masks; without any, an empty list."""
    maps = codec.label_maps if isinstance(codec, MaskCodec) else []
    return [[one.classes, list(one.ids.items()), list(one.colours.items()), one.threshold] for one in maps]


def with_maps(kind: LabelKind, written: list[Any]) -> Codec[Any] | None:
    """Return the codec of a kind, with the label maps that `maps_as_json` returned."""
    codec = for_kind(kind)
    if isinstance(codec, MaskCodec):
        codec.label_maps += [LabelMap(classes, dict(ids), {tuple(colour): index for colour, index in colours}, limit)
                             for classes, ids, colours, limit in written]  # fmt: skip
    return codec
