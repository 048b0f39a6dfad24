"""The pages in docs/: paths, overrides and messages in them exist, and the example backbone works as printed."""

from __future__ import annotations

import ast
import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from cvlib.config import schema
from cvlib.models import backbones, heads
from tests import programs

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_the_paths_of_a_page_exist(page: Path) -> None:
    named = re.findall(r"`(\w[\w.]*/[\w./]*(?:(?<=\w)/|\.py|\.md|\.yaml))`", page.read_text(encoding="utf-8"))
    user_files = {"backbones/mine.py", "conf/model/mine.yaml"}
    for path in set(named) - user_files:
        if "NAME" not in path:
            assert (ROOT / path).exists() or (ROOT / "cvlib" / path).exists(), path


GROUPS = {
    "data": [schema.DataConfig], "augment": [schema.AugmentConfig], "trainer": [schema.TrainerConfig],
    "mode": [*schema.MODES.values()], "optimizer": [*schema.OPTIMIZERS.values()],
    "schedule": [*schema.SCHEDULES.values()],
    "model": [schema.Suited, *(backbones.get(name).options for name in backbones.names()),
              *(heads.get(name).options for name in heads.names())],
}  # fmt: skip
OF_THE_MODEL_FILES = {"backbone", "encoder", "head", "lr", "epochs", "batch_size"}
OF_THE_EXAMPLE = {"width"}  # of the backbone in docs/backbones.md
YOURS = {"mine", "GROUP", "NAME"}  # names that a reader replaces


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_the_overrides_of_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for group, kinds in GROUPS.items():
        known = {item.name for kind in kinds for item in dataclasses.fields(kind)}
        known |= OF_THE_MODEL_FILES | OF_THE_EXAMPLE if group == "model" else set()
        assert set(re.findall(rf"(?<![\w./]){group}\.([a-z_]+)=", text)) <= known, group
    for group in [*GROUPS, "task"]:
        choices = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
        named = re.findall(rf"(?<![\w./]){group}=([\w,]+)", text)
        assert {choice for choices in named for choice in choices.split(",") if choice} - YOURS <= choices, group


def howto_commands() -> list[str]:
    """Return the commands in the how-to guides that no test runs."""
    pages = [page.read_text(encoding="utf-8") for page in PAGES if page.parent.name == "howto"]
    return re.findall(r"^python run\.py (.+)$", "\n".join(pages), re.MULTILINE)


@pytest.mark.parametrize("command", howto_commands())
def test_the_commands_of_the_howto_guides_compose(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cvlib.cli.compose import compose

    monkeypatch.chdir(tmp_path)
    words = [word for word in shlex.split(command) if word != "-m" and not word.startswith("hydra.")]
    jobs = [word if "[" in word or "'" in word else re.sub(r"=([^,]+),.*", r"=\1", word) for word in words]
    assert compose(jobs)


def messages() -> list[str]:
    """Return the quoted parts of the messages in the page about troubleshooting."""
    text = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return [quoted for row in rows for quoted in re.findall(r"`([^`]+)`", row)]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Return every text in the package's source, with … for each value."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "cvlib").rglob("*.py")]
    return [_flat(node) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr)]


def _flat(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return re.sub("…+", "…", "".join(map(_flat, node.values)))
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "…"


def test_the_page_about_troubleshooting_has_many_messages() -> None:
    assert len(messages()) >= 30


@pytest.mark.parametrize("message", messages())
def test_a_quoted_message_is_in_the_source(message: str, texts: list[str]) -> None:
    searched = re.sub("KEY|VALUE", "…", message)
    assert any(searched in text for text in texts)
