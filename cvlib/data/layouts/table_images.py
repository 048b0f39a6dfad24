"""Which image a cell of a table names."""

from __future__ import annotations

from pathlib import Path

from cvlib.data import images
from cvlib.data.layouts.collection import inside, subfolders


def bases(root: Path) -> list[Path]:
    """The folders that a written path may start from."""
    named = [folder for folder in subfolders(root) if folder.name.lower() in ("images", "image", "img", "imgs", "train",
                                                                              "test", "val", "data")]  # fmt: skip
    return [root, *named]


def names_image(written: str, root: Path, starts: list[Path], outside: bool = True) -> bool:
    """Whether a cell names an existing image, be it `outside` of `root`."""
    try:
        return locate(written, root, starts) is not None
    except ValueError:
        named = root / written.strip().replace("\\", "/")
        return outside and named.is_file() and images.looks_like_image(named)
    except OSError:  # longer than a file name can be
        return False


def locate(written: str, root: Path, starts: list[Path]) -> Path | None:
    """The image that a row names, with or without its extension; raises `ValueError` for a path out of `root`."""
    if not written.strip() or "\0" in written:
        return None
    exact = inside(root, written.strip(), *starts)
    if exact is not None:
        return exact if images.looks_like_image(exact) else None
    for extension in sorted(images.EXTENSIONS):
        for spelled in (extension, extension.upper()):
            found = inside(root, written.strip() + spelled, *starts)
            if found is not None:
                return found
    return None
