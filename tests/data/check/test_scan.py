"""One file looked at: what it is, and what is wrong with it."""

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
    """Smooth, and neither symmetric nor grey."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8))


def _encoded(image: Image.Image, form: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _kinds(path) -> list[str]:
    return [fault.kind for fault in scan_file(path).faults]


def test_a_sound_photograph(tmp_path):
    content = _encoded(_picture())
    (tmp_path / "a.jpg").write_bytes(content)
    found = scan_file(tmp_path / "a.jpg")
    assert (found.format, found.mode, found.header.size, found.faults) == ("JPEG", "RGB", (64, 96), [])
    assert found.digest == hashlib.sha256(content).hexdigest()
    assert len(found.thumbnail) == THUMBNAIL**2


def test_thumbnails_are_alike_however_the_pixels_are_stored(tmp_path):
    """The JPEG is decoded reduced, the PNG whole, the last one lies: all show the same upright picture."""
    picture = _picture(320, 256)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    picture.save(tmp_path / "a.jpg", quality=95)
    picture.save(tmp_path / "a.png")
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "lying.jpg", quality=95, exif=exif)
    thumbnails = [np.frombuffer(scan_file(tmp_path / name).thumbnail, np.uint8).astype(int)
                  for name in ("a.jpg", "a.png", "lying.jpg")]  # fmt: skip
    wanted = np.asarray(picture.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), int).ravel()
    for thumbnail in thumbnails:
        assert np.abs(thumbnail - wanted).mean() < 2


@pytest.mark.parametrize(("content", "kind"), [
    (b"", "empty file"), (b"no picture", "not an image"), (b"<!DOCTYPE html><html></html>", "not an image"),
    (bytes(range(128, 256)) * 8, "not an image"), (_encoded(_picture())[:-400], "truncated image"),
    (_encoded(_picture())[:150], "truncated image"), (_encoded(_picture())[:-2], "truncated image"),
    (_encoded(_picture(), "PNG")[:120], "truncated image"),
    (_encoded(_picture(), "PNG").replace(b"IDAT", b"IDAX", 1), "unreadable image"),
])  # fmt: skip
def test_what_cannot_be_read(tmp_path, content, kind):
    (tmp_path / "a.jpg").write_bytes(content)
    found = scan_file(tmp_path / "a.jpg")
    assert [(fault.kind, fault.severity) for fault in found.faults] == [(kind, "error")]
    assert found.header is None
    with pytest.raises(UserError):
        images.read_image(tmp_path / "a.jpg", 3)


def test_lost_bytes_that_pillow_decodes_without_a_word(tmp_path):
    content = bytearray(_encoded(Image.effect_noise((256, 256), 80), quality=90))
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    (tmp_path / "a.jpg").write_bytes(content)
    images.read_image(tmp_path / "a.jpg", 3)
    assert _kinds(tmp_path / "a.jpg") == ["corrupt image"]
    assert scan_file(tmp_path / "a.jpg").faults[0].severity == "warning"


def test_bytes_behind_a_photographs_end_are_no_damage(tmp_path):
    (tmp_path / "a.jpg").write_bytes(_encoded(_picture()) + b"what a phone appends")
    assert _kinds(tmp_path / "a.jpg") == []


@pytest.mark.parametrize(("mode", "form", "kinds"), [
    ("CMYK", "JPEG", ["colour mode"]), ("RGBA", "PNG", ["colour mode"]), ("LA", "PNG", ["colour mode"]),
    ("1", "PNG", ["colour mode"]), ("I;16", "PNG", ["colour mode"]), ("F", "TIFF", ["colour mode"]),
    ("L", "JPEG", []), ("P", "PNG", []), ("RGB", "BMP", []), ("RGB", "WEBP", []),
])  # fmt: skip
def test_colour_modes(tmp_path, mode, form, kinds):
    image = _picture().convert("L" if mode in ("LA", "I;16", "F") else "RGB").convert(mode)
    name = tmp_path / f"a.{form.lower()}"
    image.save(name, form)
    assert _kinds(name) == kinds
    assert scan_file(name).mode == mode


def test_a_transparent_palette_and_an_animation(tmp_path):
    _picture().convert("P").save(tmp_path / "a.png", transparency=0)
    assert _kinds(tmp_path / "a.png") == ["colour mode"]
    frames = [_picture(90 + i, 64).resize((96, 64)) for i in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert [f.message for f in scan_file(tmp_path / "a.gif").faults] == ["3 frames: only the first is used"]


@pytest.mark.parametrize(
    ("size", "kinds"), [((15, 400), ["tiny image"]), ((16, 16), []), ((5100, 5000), ["huge image"])]
)
def test_sizes(tmp_path, size, kinds):
    Image.new("RGB", size, "red").save(tmp_path / "a.png")
    assert _kinds(tmp_path / "a.png") == kinds


def test_more_pixels_than_memory_is_asked_for(tmp_path):
    Image.new("1", (12_000, 12_000)).save(tmp_path / "bomb.png")
    found = scan_file(tmp_path / "bomb.png")
    assert [(fault.kind, fault.severity) for fault in found.faults] == [("image too large", "error")]


def test_names_that_say_another_format(tmp_path):
    _picture().save(tmp_path / "a.jpg", "PNG")
    _picture().save(tmp_path / "none", "JPEG")
    _picture().save(tmp_path / "right.JPEG", "JPEG")
    assert _kinds(tmp_path / "a.jpg") == _kinds(tmp_path / "none") == ["wrong extension"]
    assert _kinds(tmp_path / "right.JPEG") == []
    (tmp_path / "notes.txt").write_text("BMP is a format")
    assert scan_file(tmp_path / "notes.txt") is None
