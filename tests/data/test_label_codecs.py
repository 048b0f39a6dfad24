"""Labels as bytes: the same labels come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvlib.data import label_codecs
from cvlib.data.labels import BOXES, CLASS, CLASS_SET, IGNORE, KINDS, MASK, Boxes
from cvlib.data.layouts.label_map import LabelMap
from cvlib.data.layouts.mask_file import MaskFile, MaskUnion
from cvlib.data.layouts.painted import Painted


def test_every_kind_is_an_array_or_has_a_codec() -> None:
    assert [kind for kind in KINDS if label_codecs.for_kind(kind) is None] == [CLASS]


@pytest.mark.parametrize("label", [frozenset(), frozenset([3]), frozenset([70_000, 0, 5])])
def test_sets(label: frozenset[int]) -> None:
    codec = label_codecs.for_kind(CLASS_SET)
    assert codec is not None and codec.decode(codec.encode(label)) == label


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("with_areas", [False, True])
def test_boxes(count: int, with_areas: bool) -> None:
    rng = np.random.default_rng(count)
    areas = rng.random(count) if with_areas else None
    label = Boxes(rng.random((count, 4), np.float32), rng.integers(0, 9, count), rng.random(count) < 0.5, areas)
    codec = label_codecs.for_kind(BOXES)
    assert codec is not None
    same = codec.decode(codec.encode(label))
    for name in ("corners", "classes", "crowd", "areas"):
        one, other = getattr(label, name), getattr(same, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype and one.shape == other.shape and (one == other).all()
            assert other.flags.writeable and other.flags.c_contiguous
    assert BOXES.key(same) == BOXES.key(label)


def test_mask_readers_share_their_label_maps() -> None:
    first = LabelMap(["background", "ö"], {0: 0, 7: 1, 255: IGNORE}, {(1, 2, 3): 1})
    second = LabelMap(["background", "pet"], {0: 0, 255: 1}, threshold=128)
    image = Path("/set/ö.jpg")
    polygons = [(1, [[0.1, 2.0, 3.25, 4.0, 5.0, 6.0]], False), (2, {"size": [4, 6], "counts": "abc"}, True)]
    readers = [
        MaskFile(Path("/set/a.png"), image, first),
        MaskUnion((Path("/set/b.png"), Path("/set/c.png")), image, second),
        MaskFile(Path("/set/d.png"), image, LabelMap(first.classes, first.ids, first.colours)),
        Painted(image, polygons, (4, 6)),
        Painted(image, [], None, relative=True),
    ]
    codec = label_codecs.for_kind(MASK)
    assert codec is not None
    written = [codec.encode(reader) for reader in readers]
    assert len(label_codecs.maps_as_json(codec)) == 2
    again = label_codecs.with_maps(MASK, label_codecs.maps_as_json(codec))
    assert again is not None and again == codec and [again.decode(data) for data in written] == readers
