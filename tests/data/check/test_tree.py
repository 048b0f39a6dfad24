"""Files below a folder: links, hidden files, and names that some systems can't tell apart."""

from __future__ import annotations

import os

from cvlib.data.check.tree import walk


def _write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def _found(root) -> list[tuple[str, str]]:
    return [(finding.kind, finding.path) for finding in walk(root).findings]


def test_files_are_listed_in_order_with_slashes(tmp_path):
    _write(tmp_path, "b/2.jpg", "b/deeper/1.jpg", "a.jpg")
    tree = walk(tmp_path)
    assert tree.files == ["a.jpg", "b/2.jpg", "b/deeper/1.jpg"]
    assert tree.findings == []


def test_files_of_desktops_and_tools_are_reported_and_left_out(tmp_path):
    _write(tmp_path, ".DS_Store", "a/Thumbs.db", "a/._x.jpg", "a/x.jpg", ".git/config", "__MACOSX/a.jpg")
    assert walk(tmp_path).files == ["a/x.jpg"]
    assert sorted(_found(tmp_path)) == [
        ("hidden folder", ".git"), ("hidden folder", "__MACOSX"), ("stray file", ".DS_Store"),
        ("stray file", "a/._x.jpg"), ("stray file", "a/Thumbs.db"),
    ]  # fmt: skip


def test_links_are_followed_but_not_in_circles(tmp_path):
    _write(tmp_path, "inside/a/1.jpg", "outside/2.jpg")
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "inside" / "again").symlink_to(tmp_path / "inside" / "a")
    (tmp_path / "inside" / "a" / "up").symlink_to(tmp_path / "inside")
    (tmp_path / "inside" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    tree = walk(tmp_path / "inside")
    assert tree.files == ["a/1.jpg", "again/1.jpg", "link/2.jpg"]
    assert sorted(_found(tmp_path / "inside")) == [
        ("broken link", "gone.jpg"), ("circular link", "a/up"), ("circular link", "again/up"),
    ]  # fmt: skip


def test_names_that_differ_only_in_case_or_unicode_form_are_reported(tmp_path):
    _write(tmp_path, "cafe\u0301.jpg", "caf\u00e9.jpg", "UP.jpg", "up.jpg", "up.png")
    found = walk(tmp_path).findings
    if len(walk(tmp_path).files) == 5:  # a file system that folds names stores fewer files
        assert [(f.kind, f.path) for f in found] == [("names alike", "UP.jpg"), ("names alike", "caf\u00e9.jpg")]
        assert "up.jpg" in found[0].message and "upper and lower case" in found[0].message
        assert "Unicode form" in found[1].message


def test_a_name_that_is_not_valid_text_is_listed(tmp_path):
    name = os.path.join(os.fsencode(tmp_path), b"\xff.jpg")  # noqa: PTH118 (bytes)
    with open(name, "wb") as file:  # noqa: PTH123 (bytes)
        file.write(b"x")
    assert [file.encode("utf-8", "surrogateescape") for file in walk(tmp_path).files] == [b"\xff.jpg"]
