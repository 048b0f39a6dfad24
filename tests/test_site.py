"""The documentation site: its generated reference is complete, and the site builds without warnings."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cvlib import cli

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Return the hook that generates the pages."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/hooks/reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


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


def test_every_published_study_is_in_the_gallery(reference: ModuleType) -> None:
    page = reference.gallery_page()
    for path in (ROOT / "experiments").glob("*.md"):
        if path.with_suffix(".yaml").exists():
            assert f"## {path.stem}" in page


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed (extra docs)")
def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        assert "fonts.googleapis" not in page.read_text(encoding="utf-8")
