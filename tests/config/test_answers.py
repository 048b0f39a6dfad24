"""Config files that are found: those of the package, the user's own, and the studies."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib import cli
from cvlib.cli.compose import compose
from cvlib.config import answers
from cvlib.runtime.errors import UserError


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a working folder with the user's own config files, and return it."""
    for name, text in {
        "model/mine.yaml": "defaults: [cnn, _self_]\nfilters: [4, 8]\n",
        "optimizer/sgd.yaml": "name: sgd\nlr: 0.5\nmomentum: 0.8\n",
        "experiment/question.yaml": "# @package _global_\ndefaults:\n  - override /model: mine\nseed: 7\n",
        "config.yaml": "an: application of another kind\n",
    }.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_user_configs_are_added_and_take_precedence(own: Path) -> None:
    assert compose(["model=mine", "model.kernel=5"]).model.backbone_options.filters == [4, 8]
    assert compose(["optimizer=sgd"]).optimizer.lr == 0.5
    assert compose(["optimizer=adam"]).optimizer.lr == 0.001
    question = compose(["+experiment=question"])
    assert (question.seed, question.model.backbone_options.filters) == (7, [4, 8])


def test_errors_suggest_user_configs_too(own: Path) -> None:
    with pytest.raises(UserError, match=r"model=mime: there is no such model; did you mean mine\?"):
        compose(["model=mime"])
    with pytest.raises(UserError, match=r"experiment=zzz: there is no such experiment; .*question, regimes"):
        compose(["+experiment=zzz"])
    with pytest.raises(UserError, match=r"model\.depth=50: model=cnn doesn't use this key"):
        compose(["model=mine", "model.depth=50"])


def test_the_train_command_finds_user_configs(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "model=mine", "--cfg", "job"]) == 0
    assert "  filters:\n  - 4\n  - 8\n" in capsys.readouterr().out
    assert cli.main(["train", "--help"]) == 0
    output = capsys.readouterr().out
    shipped = {file.stem for file in (answers.CONF / "model").glob("*.yaml")}
    assert "model: " + ", ".join(sorted({*shipped, "mine"})) in " ".join(output.split())
    assert "experiment: " in output and "question, regimes, " in output


def test_studies_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert answers.own() is None
    assert compose(["+experiment=decoders"]).name == "decoders"
    with pytest.raises(UserError, match=r"experiment=regimez: there is no such experiment; did you mean regimes\?"):
        compose(["+experiment=regimez"])
    with pytest.raises(UserError, match=r"a study needs a plus sign, \+experiment=regimes"):
        compose(["experiment=regimes"])


def test_conf_contains_no_symbolic_links() -> None:
    assert not [path for path in answers.CONF.rglob("*") if path.is_symlink()]
