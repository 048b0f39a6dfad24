"""The search for files that hold many images."""

from __future__ import annotations

from pathlib import Path

from cvlib.data.layouts import containers


def _touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_files_are_found_down_to_the_depth(tmp_path: Path) -> None:
    root = _touch(tmp_path, "b.tar", "x/a.TAR", "x/y/c.tar", "x/notes.txt")
    names = [file.relative_to(root).as_posix() for file in containers.files_in(root, (".tar",), 2)]
    assert names == ["b.tar", "x/a.TAR"]
    assert len(containers.files_in(root, (".tar",), 3)) == 3 and len(containers.files_in(root, ".tar", 1)) == 1


def test_the_search_ends_at_a_file_that_excludes_them(tmp_path: Path) -> None:
    root = _touch(tmp_path, "b.tar", "x/1.JPG")
    assert containers.files_in(root, (".tar",), 2, {".jpg"}) == []
    assert containers.files_in(root, (".tar",), 1, {".jpg"}) == [root / "b.tar"]
    assert containers.files_in(root / "missing", (".tar",), 2) == []
