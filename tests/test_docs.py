"""The pages in docs/: the paths in them exist, and the example backbone works as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import programs

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
BACKBONES = (ROOT / "docs/backbones.md").read_text(encoding="utf-8")
SHORT = ["trainer=debug", "data.samples=100"]


def commands() -> list[str]:
    """Return the indented commands of the page."""
    return re.findall(r"^    python run\.py (.+)$", BACKBONES, re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the two files of the page."""
    working_folder = tmp_path_factory.mktemp("own")
    for name, language in (("backbones/mine.py", "python"), ("conf/model/mine.yaml", "yaml")):
        (block,) = re.findall(rf"^`{re.escape(name)}`:\n\n```{language}\n(.*?)```", BACKBONES, re.DOTALL | re.MULTILINE)
        (working_folder / name).parent.mkdir(parents=True)
        (working_folder / name).write_text(block, encoding="utf-8")
    return working_folder


def test_the_page_shows_every_task() -> None:
    assert {command.split()[0] for command in commands()} == {
        "model=mine",
        "model=yolo",
        "model=segmenter",
        "model=fcn",
    }


@pytest.mark.parametrize("command", commands())
def test_the_example_backbone_composes(folder: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cvlib.cli.compose import compose

    monkeypatch.chdir(folder)
    model = compose(command.split()).model
    assert model.backbone == "mine"
    assert model.used_backbone_options["width"] == 16


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_the_example_backbone_trains(folder: Path, command: str) -> None:
    result = programs.run(folder, programs.RUN, *command.split(), *SHORT)
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.slow
def test_the_example_backbone_trains_with_the_installed_command(folder: Path) -> None:
    result = programs.run(folder, *programs.CVLIB, "train", "model=mine", "model.width=8", *SHORT)
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_paths_of_a_page_exist(page: Path) -> None:
    named = re.findall(r"`([\w./]+(?:/|\.py|\.md|\.yaml))`", page.read_text(encoding="utf-8"))
    user_files = {"backbones/mine.py", "conf/model/mine.yaml"}
    for path in set(named) - user_files:
        if "NAME" not in path:
            assert (ROOT / path).exists() or (ROOT / "cvlib" / path).exists(), path
