"""Archives of images, unpacked once into the cache folder and nowhere else."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from cvlib.runtime import store
from cvlib.runtime.errors import UserError

_ZIP, _TAR = (".zip",), (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_MAX_FILES = 5_000_000
_MAX_GROWTH = 100  # an archive may unpack to this many times its own size, plus `_FREE_GROWTH`
_FREE_GROWTH = 2**30  # bytes
_BLOCK = 2**20


@dataclass(frozen=True)
class Member:
    """A regular file in an archive."""

    name: PurePosixPath
    size: int
    source: Any  # the entry as `zipfile` or `tarfile` represents it


def is_archive(path: Path) -> bool:
    """Return whether a file is an archive, judging by its name."""
    return path.is_file() and path.name.lower().endswith((*_ZIP, *_TAR))


def unpacked(archive: Path) -> Path:
    """Return the cache folder of an archive's files; unpack them if they aren't there yet.

    Raises `UserError` for members outside that folder, links and devices, and for archives that exceed the limits on
    the number of files and on the unpacked size. If all files are in one subfolder, that subfolder is returned.
    """
    folder = store.root("outputs") / "archives"
    try:
        home = store.made_once(folder, [archive], f"files of {archive.name}", lambda home: _unpack(archive, home))
    except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"{archive}: can't be unpacked: {' '.join(str(error).split())}") from error
    return _content(home)


def _content(home: Path) -> Path:
    entries = [entry for entry in home.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
    return _content(entries[0]) if len(entries) == 1 and entries[0].is_dir() and not _is_split(entries[0]) else home


def _is_split(folder: Path) -> bool:
    from cvlib.data.layouts import names

    return names.split_of(folder.name) is not None


def _unpack(archive: Path, folder: Path) -> None:
    limit = _FREE_GROWTH + _MAX_GROWTH * archive.stat().st_size
    written = 0
    if archive.name.lower().endswith(_ZIP):
        with zipfile.ZipFile(archive) as opened:
            for member in _checked(archive, _of_zip(archive, opened)):
                with opened.open(member.source) as source:
                    written = _write(archive, source, folder / member.name, written, limit)
        return
    with tarfile.open(archive) as opened_tar:
        for member in _checked(archive, _of_tar(archive, opened_tar)):
            if (inner := opened_tar.extractfile(member.source)) is not None:
                with inner:
                    written = _write(archive, inner, folder / member.name, written, limit)


def _of_zip(archive: Path, opened: zipfile.ZipFile) -> Iterator[Member]:
    for entry in opened.infolist():
        if (entry.external_attr >> 16) & 0o170000 == 0o120000:
            raise UserError(
                f"{archive}: {entry.filename} is a link, and links are not unpacked: unpack the archive yourself"
            )
        if not entry.is_dir():
            yield Member(PurePosixPath(entry.filename.replace("\\", "/")), entry.file_size, entry)


def _of_tar(archive: Path, opened: tarfile.TarFile) -> Iterator[Member]:
    for entry in opened:
        if entry.isdir():
            continue
        if not entry.isreg():
            raise UserError(
                f"{archive}: {entry.name} is a link or a device, which is not unpacked: unpack the archive yourself"
            )
        yield Member(PurePosixPath(entry.name), entry.size, entry)


def _checked(archive: Path, members: Iterator[Member]) -> Iterator[Member]:
    """Yield the members. Raises `UserError` if one would be outside the target folder, or if there are too many."""
    for number, member in enumerate(members):
        name = member.name
        drive = len(name.parts) > 0 and name.parts[0].endswith(":")
        if name.is_absolute() or ".." in name.parts or drive or "\0" in str(name):
            raise UserError(
                f"{archive}: {name} would be written outside the target folder: the archive is not unpacked"
            )
        if number > _MAX_FILES:
            raise UserError(f"{archive}: it contains more than {_MAX_FILES:,} files: unpack it yourself")
        yield member


def _write(archive: Path, source: IO[bytes], target: Path, written: int, limit: int) -> int:
    """Write one member; return the bytes written so far for the archive. Raises `UserError` beyond the limit."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > limit:
                raise UserError(f"{archive}: it unpacks to more than {limit / 2**30:.0f} GiB, too much for an "
                                "archive of its size: unpack it yourself")  # fmt: skip
            file.write(block)
    return written
