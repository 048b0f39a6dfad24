"""Archives are unpacked into the cache folder only; members that would be written outside are refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from folders_on_disk import load, sizes_of, write_images

from cvlib.data.layouts import archives
from cvlib.runtime.errors import UserError


@pytest.fixture(autouse=True)
def _working_folder(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("top", ["", "my set/"])
def test_a_collection_is_read_from_an_archive(tmp_path, ending, top):
    for name in ("a", "b"):
        write_images(tmp_path / "source" / name, 6)
    files = list((tmp_path / "source").rglob("*.png"))
    archive = tmp_path / f"set.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(archive, "w") as opened:
            for file in files:
                opened.write(file, top + file.relative_to(tmp_path / "source").as_posix())
    else:
        with tarfile.open(archive, "w:gz" if ending.endswith("gz") else "w") as opened_tar:
            for file in files:
                opened_tar.add(file, top + file.relative_to(tmp_path / "source").as_posix())
    before = sorted(tmp_path.iterdir())
    dataset = load(archive)
    assert dataset.classes == ["a", "b"] and sum(sizes_of(dataset)) == 12
    assert all("outputs/cache/archives" in file.as_posix() for file in dataset.train.images)
    assert sorted(tmp_path.iterdir()) == before and archives.unpacked(archive) == archives.unpacked(archive)


def _write_zip(file: Path, name: str, content: bytes = b"x", mode: int = 0) -> Path:
    with zipfile.ZipFile(file, "w") as opened:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        opened.writestr(entry, content)
    return file


@pytest.mark.parametrize(
    "name", ["../out.png", "/tmp/out.png", "a/../../out.png", "C:/out.png", "..\\out.png"]
)  # fmt: skip
def test_members_that_would_be_written_outside_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="would be written outside") as caught:
        archives.unpacked(_write_zip(tmp_path / "bad.zip", name))
    assert "\n" not in str(caught.value) and not list(tmp_path.rglob("out.png"))


def test_links_and_devices_are_refused(tmp_path):
    with pytest.raises(UserError, match="links are not unpacked"):
        archives.unpacked(_write_zip(tmp_path / "link.zip", "a", b"/etc/passwd", 0o120777))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        with tarfile.open(tmp_path / "bad.tar", "w") as opened:
            entry = tarfile.TarInfo("a")
            entry.type, entry.linkname = kind, "/etc/passwd"
            opened.addfile(entry)
        with pytest.raises(UserError, match="a link or a device"):
            archives.unpacked(tmp_path / "bad.tar")
    assert not list((tmp_path / "work").rglob("a"))


def test_an_archive_that_unpacks_to_too_many_bytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_MAX_GROWTH", 0)
    monkeypatch.setattr(archives, "_FREE_GROWTH", 1000)
    with pytest.raises(UserError, match="unpacks to more than"):
        archives.unpacked(_write_zip(tmp_path / "bomb.zip", "a.png", bytes(100_000)))
    assert not list((tmp_path / "work").rglob("a.png"))


def test_a_broken_archive_is_refused(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"x\.zip: can't be unpacked"):
        archives.unpacked(tmp_path / "x.zip")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        opened.addfile(tarfile.TarInfo("a"))
    (tmp_path / "x.tar.gz").write_bytes(buffer.getvalue()[:30])
    with pytest.raises(UserError, match="can't be unpacked"):
        archives.unpacked(tmp_path / "x.tar.gz")
