"""RGB JPEGs are decoded without Pillow, and every other JPEG is left to it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.data import images, jpeg
from cvlib.runtime.errors import UserError


def _encoded(mode: str = "RGB", **options) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def _turned(how: str) -> bytes:
    if how == "EXIF":
        tags = Image.Exif()
        tags[0x0112] = 6
        return _encoded(exif=tags)
    packet = ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
              '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF>'
              "</x:xmpmeta>")  # fmt: skip
    return _encoded(xmp=packet.encode())


def test_an_upright_rgb_jpeg_has_the_pixels_of_pillow():
    content = _encoded(quality=90)
    found = jpeg.plain(content)
    assert found is not None
    np.testing.assert_array_equal(found, np.asarray(Image.open(io.BytesIO(content))))


@pytest.mark.parametrize("content", [
    _encoded("L"), _encoded("CMYK"), _turned("EXIF"), _turned("XMP"), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"",
    _encoded()[:200],
], ids=["grey", "CMYK", "EXIF", "XMP", "PNG", "header only", "empty", "cut off"])  # fmt: skip
def test_other_files_are_left_to_pillow(content):
    assert jpeg.plain(content) is None


@pytest.mark.parametrize("how", ["EXIF", "XMP"])
def test_turned_jpegs_are_read_upright(tmp_path: Path, how: str):
    (tmp_path / "a.jpg").write_bytes(_turned(how))
    assert images.read_image(tmp_path / "a.jpg", 3).shape == (20, 12, 3)


def test_a_jpeg_above_the_size_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.jpg").write_bytes(_encoded())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match=r"exceeds limit|decompression bomb"):
        images.read_image(tmp_path / "a.jpg", 3)
