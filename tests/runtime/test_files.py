"""Files and folders are replaced atomically."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cvlib.runtime import files
from cvlib.runtime.errors import UserError


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_replaced_without_leaving_other_files(tmp_path: Path) -> None:
    path = tmp_path / "new/a.json"
    for content in (b"one", b"two"):
        files.write_atomically(path, content)
        assert path.read_bytes() == content
    assert names(tmp_path) == ["new/a.json"]


def test_an_error_keeps_the_earlier_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")
    with pytest.raises(ValueError, match="no"), files.replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise ValueError("no")
    assert (tmp_path / "a").read_text() == "before"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("before", ["nothing", "file", "folder"])
@pytest.mark.parametrize("count", [1, 101])
def test_a_folder_replaces_a_file_or_folder_of_the_same_name(tmp_path: Path, before: str, count: int) -> None:
    path = tmp_path / "a"
    if before == "file":
        path.touch()
    elif before == "folder":
        path.mkdir()
        (path / "old").touch()
    with files.replacing(path) as temporary:
        temporary.mkdir()
        for number in range(count):
            (temporary / str(number)).touch()
        assert temporary.name.endswith(files.PARTIAL) and temporary.parent == tmp_path
    assert set(names(path)) == {str(number) for number in range(count)}


def test_a_file_replaces_a_folder_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    files.write_atomically(tmp_path / "a", b"file")
    assert (tmp_path / "a").read_bytes() == b"file"


def test_the_temporary_name_can_be_chosen_and_an_earlier_file_there_is_removed(tmp_path: Path) -> None:
    (tmp_path / "partial.keras").write_text("left by a process that was killed")
    with files.replacing(tmp_path / "model.keras", "partial.keras") as temporary:
        assert temporary == tmp_path / "partial.keras" and not temporary.exists()
        temporary.write_text("whole")
    assert names(tmp_path) == ["model.keras"]


def test_writing_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.replacing(tmp_path / "a"):
        pass


def test_csv_has_a_header_and_quotes_special_characters() -> None:
    assert files.csv_of([{"a": 1, "b": 'x,"'}]) == 'a,b\r\n1,"x,"""\r\n'
    assert files.csv_of([]) == "\r\n"


def test_a_name_that_is_not_utf_8_is_refused_where_tensorflow_writes() -> None:
    files.require_utf8(Path("ünïcode"))
    with pytest.raises(UserError, match="not valid UTF-8"):
        files.require_utf8(Path(os.fsdecode(b"na\xefve")))


def test_text_with_names_that_are_not_utf_8_is_valid_json(tmp_path: Path) -> None:
    name = os.fsdecode(b"na\xefve")
    files.write_atomically(tmp_path / "names.json", json.dumps([name, "ü"], ensure_ascii=False))
    assert json.loads((tmp_path / "names.json").read_text(encoding="utf-8")) == [name, "ü"]
