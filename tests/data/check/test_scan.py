"""The scan of a single file: its format and its faults."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from cvlib.data import images
from cvlib.data.check.scan import THUMBNAIL, scan_file
from cvlib.runtime.errors import UserError


def _picture(width: int = 96, height: int = 64) -> Image.Image:
    """Return a smooth image that is neither symmetric nor grey."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8))


def _encode(image: Image.Image, form: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _kinds(path) -> list[str]:
    return [fault.kind for fault in scan_file(path).faults]


def test_a_valid_photograph_has_no_faults(tmp_path):
    content = _encode(_picture())
    (tmp_path / "a.jpg").write_bytes(content)
    found = scan_file(tmp_path / "a.jpg")
    assert (found.format, found.mode, found.header.size, found.faults) == ("JPEG", "RGB", (64, 96), [])
    assert found.digest == hashlib.sha256(content).hexdigest()
    assert len(found.thumbnail) == THUMBNAIL**2


def test_thumbnails_do_not_depend_on_how_the_pixels_are_stored(tmp_path):
    """The JPEG is decoded at a reduced size, the PNG at full size, and the last file is stored rotated."""
    picture = _picture(320, 256)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated by 90° clockwise
    picture.save(tmp_path / "a.jpg", quality=95)
    picture.save(tmp_path / "a.png")
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "rotated.jpg", quality=95, exif=exif)
    thumbnails = [np.frombuffer(scan_file(tmp_path / name).thumbnail, np.uint8).astype(int)
                  for name in ("a.jpg", "a.png", "rotated.jpg")]  # fmt: skip
    expected = np.asarray(picture.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), int).ravel()
    for thumbnail in thumbnails:
        assert np.abs(thumbnail - expected).mean() < 2


@pytest.mark.parametrize(("content", "kind"), [
    (b"", "empty file"), (b"no picture", "not an image"), (b"<!DOCTYPE html><html></html>", "not an image"),
    (bytes(range(128, 256)) * 8, "not an image"), (_encode(_picture())[:-400], "truncated image"),
    (_encode(_picture())[:150], "truncated image"), (_encode(_picture())[:-2], "truncated image"),
    (_encode(_picture(), "PNG")[:120], "truncated image"),
    (_encode(_picture(), "PNG").replace(b"IDAT", b"IDAX", 1), "unreadable image"),
])  # fmt: skip
def test_unreadable_files_are_errors(tmp_path, content, kind):
    (tmp_path / "a.jpg").write_bytes(content)
    found = scan_file(tmp_path / "a.jpg")
    assert [(fault.kind, fault.severity) for fault in found.faults] == [(kind, "error")]
    assert found.header is None
    with pytest.raises(UserError):
        images.read_image(tmp_path / "a.jpg", 3)


def test_lost_bytes_that_pillow_decodes_silently_give_a_warning(tmp_path):
    content = bytearray(_encode(Image.effect_noise((256, 256), 80), quality=90))
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    (tmp_path / "a.jpg").write_bytes(content)
    images.read_image(tmp_path / "a.jpg", 3)
    assert _kinds(tmp_path / "a.jpg") == ["corrupt image"]
    assert scan_file(tmp_path / "a.jpg").faults[0].severity == "warning"


def test_bytes_after_the_end_of_a_photograph_are_not_a_fault(tmp_path):
    (tmp_path / "a.jpg").write_bytes(_encode(_picture()) + b"what a phone appends")
    assert _kinds(tmp_path / "a.jpg") == []


@pytest.mark.parametrize(("mode", "form", "kinds"), [
    ("CMYK", "JPEG", ["colour mode"]), ("RGBA", "PNG", ["colour mode"]), ("LA", "PNG", ["colour mode"]),
    ("1", "PNG", ["colour mode"]), ("I;16", "PNG", ["colour mode"]), ("F", "TIFF", ["colour mode"]),
    ("L", "JPEG", []), ("P", "PNG", []), ("RGB", "BMP", []), ("RGB", "WEBP", []),
])  # fmt: skip
def test_unusual_colour_modes_are_reported(tmp_path, mode, form, kinds):
    image = _picture().convert("L" if mode in ("LA", "I;16", "F") else "RGB").convert(mode)
    name = tmp_path / f"a.{form.lower()}"
    image.save(name, form)
    assert _kinds(name) == kinds
    assert scan_file(name).mode == mode


def test_a_transparent_palette_and_an_animation_are_reported(tmp_path):
    _picture().convert("P").save(tmp_path / "a.png", transparency=0)
    assert _kinds(tmp_path / "a.png") == ["colour mode"]
    frames = [_picture(90 + i, 64).resize((96, 64)) for i in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert [f.message for f in scan_file(tmp_path / "a.gif").faults] == ["3 frames: only the first is used"]


@pytest.mark.parametrize(
    ("size", "kinds"), [((15, 400), ["tiny image"]), ((16, 16), []), ((5100, 5000), ["huge image"])]
)
def test_tiny_and_huge_images_are_reported(tmp_path, size, kinds):
    Image.new("RGB", size, "red").save(tmp_path / "a.png")
    assert _kinds(tmp_path / "a.png") == kinds


def test_an_image_with_too_many_pixels_is_an_error(tmp_path):
    Image.new("1", (12_000, 12_000)).save(tmp_path / "bomb.png")
    found = scan_file(tmp_path / "bomb.png")
    assert [(fault.kind, fault.severity) for fault in found.faults] == [("image too large", "error")]


def test_names_with_a_wrong_extension_are_reported(tmp_path):
    _picture().save(tmp_path / "a.jpg", "PNG")
    _picture().save(tmp_path / "none", "JPEG")
    _picture().save(tmp_path / "right.JPEG", "JPEG")
    assert _kinds(tmp_path / "a.jpg") == _kinds(tmp_path / "none") == ["wrong extension"]
    assert _kinds(tmp_path / "right.JPEG") == []
    (tmp_path / "notes.txt").write_text("BMP is a format")
    assert scan_file(tmp_path / "notes.txt") is None
