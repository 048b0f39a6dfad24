"""The documentation site: its generated reference is complete, and the site builds without warnings."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cvlib import cli

ROOT = Path(__file__).parents[1]


def loaded(name: str) -> ModuleType:
    """Return a file of docs/hooks as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/hooks/{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Return the hook that generates the pages of the reference."""
    return loaded("reference")


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    """Return the hook that generates the page of the studies."""
    return loaded("gallery")


def test_every_override_has_a_sentence(reference: ModuleType) -> None:
    keys = reference.overrides()
    assert [key.name for key in keys if not key.sentence] == []
    names = {key.name for key in keys}
    assert {"data.path", "mode.freeze", "optimizer.lr", "trainer.epochs", "model.decoder"} <= names


def test_bounds_defaults_and_users_are_those_of_the_schema(reference: ModuleType) -> None:
    (rate,) = (key for key in reference.overrides() if key.name == "schedule.factor")
    assert (rate.kind, rate.default, rate.bounds, rate.users) == ("float", "0.1", "0 to 1", "schedule=step")
    (depth,) = (key for key in reference.overrides() if key.name == "model.depth")
    assert "`50` `101` `152`" in depth.bounds
    assert "base resnet" in depth.users


def test_every_command_and_every_base_is_listed(reference: ModuleType) -> None:
    page = reference.commands_page()
    for name, parser in reference._subparsers(cli._parser()):
        assert f"## cvlib {name}" in page
        assert name == "train" or parser.format_help().strip() in page
    assert "| `resnet` | ResNet50, 101 and 152:" in reference.models_page()


def test_every_network_is_in_the_table_of_models() -> None:
    rows = re.findall(r"^\| `([^`]+)`", (ROOT / "docs/reference/models_table.md").read_text(encoding="utf-8"), re.M)
    assert rows == [" ".join(overrides) for overrides in loaded("models").networks()]
    models = {f"model={path.stem}" for path in (ROOT / "conf/model").glob("*.yaml")}
    assert {row.split()[0] for row in rows} == models - {"model=hub"}  # whose networks a preset describes


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides", ["model=darknet model.size=n", "model=mobilenet model.variant=v2", "model=yolo model.size=s"]
)
def test_a_row_of_the_table_of_models_is_still_true(overrides: str) -> None:
    table = (ROOT / "docs/reference/models_table.md").read_text(encoding="utf-8").splitlines()
    assert loaded("models").row(overrides.split()) in table


def test_every_published_study_is_in_the_gallery_with_its_verdict_and_commands(gallery: ModuleType) -> None:
    page = gallery.page()
    for path in (ROOT / "experiments").glob("*.md"):
        if path.with_suffix(".yaml").exists():
            assert f"## {path.stem}" in page
            section = "\n".join(gallery.study(path.stem))
            assert f"+experiment={path.stem}" in section
            assert section.count("<circle") >= 2
            assert "?\n" in section or "? " in section  # the question


def test_a_study_is_read_from_its_table_and_its_file(gallery: ModuleType) -> None:
    table = "| mode | seeds | test/mAP % | 95 % CI |\n|---|---:|---:|---:|\n| scratch | 2 | 17.4 ± 1.3 | 5.7 – 29.0 |"
    assert gallery.rows(table) == [gallery.Row("mode scratch", 17.4, 5.7, 29.0)]
    single = "| run | model.head | test/mAP % |\n|---|---|---:|\n| a | grid | 50.05 |"
    assert gallery.rows(single) == [gallery.Row("head grid", 50.05, None, None)]
    config = "# Question: which\n# one?\n#\n#   python run.py a=1 \\\n#       b=2\n#   cvlib compare x\n"
    assert gallery.question(config) == "Which one?"
    assert gallery.commands(config) == ["python run.py a=1 b=2", "cvlib compare x"]


def test_the_notebook_has_the_cells_of_the_script(tmp_path: Path) -> None:
    hook = loaded("notebook")
    cells = json.loads((ROOT / "docs/tutorials/notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    script = (ROOT / "experiments/notebook.py").read_text(encoding="utf-8")
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in cells] == hook.cells(script)
    printed = hook.executed([("markdown", "A title"), ("code", "x = 2"), ("code", "print(x + 1)")])
    assert [cell.get("outputs") for cell in printed] == [
        None, [], [{"output_type": "stream", "name": "stdout", "text": ["3\n"]}]
    ]  # fmt: skip


def test_pictures_are_small_and_exist_for_light_and_dark_pages() -> None:
    pictures = {path.name: path.stat().st_size for path in (ROOT / "docs/pictures").iterdir()}
    assert max(pictures.values()) < 60_000
    for name in pictures:
        if name.endswith("-light.png"):
            assert name.replace("-light", "-dark") in pictures


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed (extra docs)")
def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "fonts.googleapis" not in text
        assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=\"https?://(?!www\.example)", text), page
