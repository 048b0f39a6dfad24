"""Files of every mode are read as the pixels that they were written from."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.data import images
from cvlib.runtime.errors import UserError

SHARED = Path(__file__).parents[3] / "shared" / "data"
MESSY, CLOTHING = SHARED / "messy" / "classification" / "train" / "hat", SHARED / "clothing10"
GREY = np.array([[0, 60, 120], [180, 200, 255]], np.uint8)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def _save(tmp_path, image, name="image.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def _write_png(tmp_path, depth, colour, rows):
    """Write a PNG byte by byte, so that no library decides what is in it."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = len(rows), len(rows[0])
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    code = {8: "B", 16: ">H"}[depth]
    raw = b"".join(b"\0" + b"".join(struct.pack(code, value) for value in row) for row in rows)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    path = tmp_path / "hand.png"
    path.write_bytes(content)
    return path


def test_grey_stays_grey_and_is_repeated_for_rgb(tmp_path):
    path = _save(tmp_path, Image.fromarray(GREY))
    assert np.array_equal(images.read_image(path, 1), GREY[..., None])
    assert np.array_equal(images.read_image(path, 3), np.stack([GREY] * 3, axis=-1))


def test_rgb_is_converted_to_grey_by_luma(tmp_path):
    path = _save(tmp_path, Image.fromarray(np.array([[RED, GREEN, BLUE, WHITE]], np.uint8)))
    assert images.read_image(path, 1)[0, :, 0].tolist() == [76, 150, 29, 255]  # 0.299, 0.587, 0.114
    assert images.read_image(path, 3)[0].tolist() == [list(RED), list(GREEN), list(BLUE), list(WHITE)]


def test_arrays_are_converted_to_grey_like_files(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    path = _save(tmp_path, Image.fromarray(colours))
    assert np.array_equal(images.to_channels(colours[None], 1)[0], images.read_image(path, 1))


def test_16_bit_values_are_scaled_and_not_cut_off(tmp_path):
    path = _write_png(tmp_path, 16, 0, [[0, 257, 128 * 257], [200 * 257 + 128, 200 * 257 + 129, 65535]])
    assert images.read_image(path, 1)[..., 0].tolist() == [[0, 1, 128], [200, 201, 255]]
    assert images.read_image(path, 3)[1, 2].tolist() == [255, 255, 255]


def test_32_bit_integers_and_floats_are_converted_to_8_bits(tmp_path):
    wide = Image.fromarray(np.array([[0, 257, 65535, 70000]], np.int32))
    assert wide.mode == "I"
    assert images.read_image(_save(tmp_path, wide, "i.tif"), 1)[0, :, 0].tolist() == [0, 1, 255, 255]
    unit = Image.fromarray(np.array([[0, 0.5, 1]], np.float32))
    assert images.read_image(_save(tmp_path, unit, "unit.tif"), 1)[0, :, 0].tolist() == [0, 128, 255]
    byte = Image.fromarray(np.array([[-3, 17.4, 300]], np.float32))
    assert images.read_image(_save(tmp_path, byte, "byte.tif"), 3)[0, :, 0].tolist() == [0, 17, 255]


def test_transparent_pixels_are_blended_with_white(tmp_path):
    rgba = np.array([[(*RED, 255), (*RED, 0), (0, 0, 0, 51)]], np.uint8)
    found = images.read_image(_save(tmp_path, Image.fromarray(rgba)), 3)[0].tolist()
    assert found == [[255, 0, 0], [255, 255, 255], [204, 204, 204]]
    path = _save(tmp_path, Image.fromarray(np.array([[(0, 0), (0, 255), (100, 255), (0, 102)]], np.uint8), "LA"))
    assert images.read_image(path, 1)[0, :, 0].tolist() == [255, 0, 100, 153]


def test_palettes_are_read_with_and_without_transparency(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *BLUE])
    image.putdata([0, 1, 2])
    assert images.read_image(_save(tmp_path, image), 3)[0].tolist() == [list(RED), list(GREEN), list(BLUE)]
    path = _save(tmp_path, image, "clear.png", transparency=1)
    assert images.read_image(path, 3)[0].tolist() == [list(RED), list(WHITE), list(BLUE)]
    with_alpha = image.convert("PA")
    with_alpha.putalpha(Image.fromarray(np.array([[255, 255, 0]], np.uint8)))
    assert images.pixels(with_alpha, 3)[0].tolist() == [list(RED), list(GREEN), list(WHITE)]


def test_bilevel_and_cmyk_images_are_read(tmp_path):
    bilevel = images.read_image(_save(tmp_path, Image.fromarray(GREY > 100)), 1)
    assert bilevel[..., 0].tolist() == [[0, 0, 255], [255, 255, 255]]
    inks = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # magenta and yellow: red
    assert np.abs(images.read_image(_save(tmp_path, inks, "ink.tif"), 3).astype(int) - RED).max() == 0
    assert np.abs(images.read_image(_save(tmp_path, inks, "ink.jpg"), 3).astype(int) - RED).max() < 6


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN)]
    path = _save(tmp_path, frames[0], "moving.gif", save_all=True, append_images=frames[1:])
    assert np.all(images.read_image(path, 3) == RED)


@pytest.mark.parametrize(("orientation", "expected"), [
    (1, [[0, 60, 120], [180, 200, 255]]),
    (2, [[120, 60, 0], [255, 200, 180]]),
    (3, [[255, 200, 180], [120, 60, 0]]),
    (4, [[180, 200, 255], [0, 60, 120]]),
    (5, [[0, 180], [60, 200], [120, 255]]),
    (6, [[180, 0], [200, 60], [255, 120]]),
    (7, [[255, 120], [200, 60], [180, 0]]),
    (8, [[120, 255], [60, 200], [0, 180]]),
])  # fmt: skip
def test_the_exif_orientation_is_applied(tmp_path, orientation, expected):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = _save(tmp_path, Image.fromarray(GREY), exif=exif)
    assert images.read_image(path, 1)[..., 0].tolist() == expected


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_header_gives_the_upright_size(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = _save(tmp_path, Image.fromarray(GREY), f"image.{kind}", exif=exif)
    header = images.header(path)
    assert header.size == images.size_of(path) == images.read_image(path, 1).shape[:2]
    assert header.stored == GREY.shape and header.orientation == orientation
    if kind in ("png", "tif"):
        assert np.array_equal(images.upright(GREY, orientation), images.read_image(path, 1)[..., 0])


@pytest.mark.skipif(not MESSY.is_dir(), reason="the shared data isn't available")
@pytest.mark.parametrize(("name", "original"), [
    ("cmyk.jpg", "24fcfe3e-4ea1-481e-9f39-37a2edcb2c99"), ("gray.jpg", "26fca408-4412-466b-972a-3a160051534a"),
    ("gray16.png", "29c2d4f8-f682-4995-919b-2ce2a9a64c1d"), ("webp_image.webp", "340e3716-5961-4c41-b5a4-6a568b7d1e21"),
    ("bitmap.bmp", "3d1948c4-067b-4f07-9310-7becd16dbd0f"), ("tiff_image.tif", "3f50fdef-ce2c-4409-b2a1-92497179f86f"),
    ("png_named.jpg", "4423eb84-850c-4f82-8bc6-01b7fee5c1ef"),
    ("webp_named.jpg", "471a5dba-b2d6-40ef-9856-37c83ac15ad2"),
    ("no_extension", "47ce5231-abc8-4ab3-8a84-8deeb79fabb2"), ("UPPER.JPG", "4976873a-5058-45f9-b994-3d79868533a8"),
    ("progressive.jpeg", "4ac3d6f0-a7e6-4197-899f-d3a65ae1ba7d"),
    ("exif_rotated_6.jpg", "2d6afa47-fd6f-4b2b-9e51-010280547753"),
    ("exif_rotated_3.jpg", "2f96b4e8-3af7-4b3f-9488-69a51df7a917"),
    ("animated.gif", "30a55a1b-8e00-4df0-afcc-7ea3992db85d"), ("one_frame.gif", "324b3d8f-3a20-4668-b58b-b4083ed1039a"),
])  # fmt: skip
def test_unusual_files_match_the_photographs_they_were_made_from(name, original):
    found = images.read_image(MESSY / name, 1)[..., 0]
    expected = images.read_image(CLOTHING / "train" / "hat" / f"{original}.jpg", 1)[..., 0]
    assert found.shape == expected.shape
    # Compare means of 8×8 pixels, because a GIF's few colours are dithered. Wrong channels, ranges or rotations would
    # differ by far more than 3.
    blocks = [np.asarray(Image.fromarray(image).reduce(8), float) for image in (found, expected)]
    assert np.abs(blocks[0] - blocks[1]).mean() < 3


def test_a_wrong_extension_does_not_matter(tmp_path):
    path = _save(tmp_path, Image.fromarray(GREY), "picture.png").rename(tmp_path / "picture.jpg")
    assert np.array_equal(images.read_image(path, 1)[..., 0], GREY)


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "bmp", "webp", "tif"])
def test_a_truncated_file_is_named_in_the_error(tmp_path, kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    path = _save(tmp_path, noise, f"cut.{kind}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(UserError, match=rf"cut\.{kind}: can't be read as an image: ") as caught:
        images.read_image(path, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\xff\xd8\xff\xe0"])
def test_a_file_that_is_not_an_image_is_named_in_the_error(tmp_path, content):
    (tmp_path / "é 帽子.jpg").write_bytes(content)
    with pytest.raises(UserError, match=r"é 帽子\.jpg: can't be read as an image"):
        images.read_image(tmp_path / "é 帽子.jpg", 3)


def test_a_missing_file_is_named_in_the_error(tmp_path):
    with pytest.raises(UserError, match=r"gone\.jpg: can't be opened"):
        images.read_image(tmp_path / "gone.jpg", 3)


@pytest.mark.parametrize("limit", [40, 90])  # Pillow raises an error above twice its limit, and only warns below
def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch, limit):
    path = _save(tmp_path, Image.new("L", (10, 10)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UserError, match=r"image\.png: can't be read as an image: .*100 pixels"):
        images.read_image(path, 1)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(97, 61), (64, 64), (33, 128), (1, 1), (7, 250)])
def test_jpegs_are_decoded_to_the_same_pixels_as_with_pillow(
    tmp_path: Path, subsampling: int, progressive: bool, size: tuple[int, int]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1] // 4 + 1, size[0] // 4 + 1, 3), np.uint8)
    picture = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    for quality in (30, 95):
        picture.save(tmp_path / "a.jpg", quality=quality, subsampling=subsampling, progressive=progressive)
        expected = np.asarray(Image.open(tmp_path / "a.jpg"))
        np.testing.assert_array_equal(images.read_image(tmp_path / "a.jpg", 3), expected)


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.99])
def test_a_truncated_jpeg_is_refused(tmp_path: Path, keep: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(UserError, match="can't be read as an image"):
        images.read_image(tmp_path / "a.jpg", 3)


@pytest.mark.parametrize("name", ["IM0001", "1.2.840.113619.2.55", "scan.dcm"])
def test_dicom_files_are_recognised_by_their_content(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(bytes(128) + b"DICM")
    known = images.unread(file)
    assert images.looks_like_image(file) if ".dcm" in images.EXTENSIONS else known is not None and known[0] == "DICOM"
    file.write_bytes(bytes(132))
    assert not images.looks_like_image(file) or name == "scan.dcm"
