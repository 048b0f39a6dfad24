"""Untrusted network files: no code in them runs, nothing is written, and the error is one line."""

from __future__ import annotations

import codecs
import io
import json
import marshal
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cvlib import cli
from tests.small_runs import write_run

Change = Callable[[dict[str, Any]], None]


class Pickled:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def as_text(content: bytes) -> str:
    return codecs.encode(content, "base64").decode()


def layer(class_name: str, package: str = "keras.layers", registered: str | None = None, **config: Any) -> Change:
    """Return a change that replaces the network's last layer."""

    def change(network: dict[str, Any]) -> None:
        last = network["config"]["layers"][-1]
        last.update(class_name=class_name, module=package, registered_name=registered)
        last["config"] = {"name": last["name"], "trainable": True, "dtype": "float32", **config}

    return change


def changes(touched: Path) -> dict[str, Change]:
    """Return attacks that would create the file `touched`, by the text that the error message must contain."""
    source = f"lambda x: (__import__('pathlib').Path({str(touched)!r}).touch(), x)[1]"
    code = as_text(marshal.dumps(eval(source).__code__))
    function = {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}
    return {
        "Lambda": layer("Lambda", function=function),
        "__lambda__": layer("Activation", activation=function),
        "os.system": layer("system", "os", command=f"touch {touched}"),
        "hostile.Layer": layer("Layer", "hostile"),
        "hostile.Layer ": layer("Layer", "hostile", registered="hostile>Layer"),
        "hostile.function": layer("Activation", activation={"class_name": "function", "module": "hostile",
                                                            "config": "Layer", "registered_name": "function"}),
        "TFSMLayer": layer("TFSMLayer", filepath=str(touched), call_endpoint="serve"),
        "TorchModuleWrapper": layer("TorchModuleWrapper", "keras.utils",
                                    module=as_text(pickle.dumps(Pickled(touched)))),
        "hostile.Model": lambda network: network.update(class_name="Model", module="hostile", registered_name=None),
    }  # fmt: skip


def rewrite(path: Path, change: Change | None = None, more: dict[str, bytes] | None = None) -> None:
    """Change the config of a saved network, and add members to its archive."""
    written = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(written, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json" and change:
                network = json.loads(content)
                change(network)
                content = json.dumps(network).encode()
            target.writestr(name, content)
        for name, content in (more or {}).items():
            target.writestr(name, content)
    path.write_bytes(written.getvalue())


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run folder, and put a module on the path that creates a file when it is imported."""
    write_run(tmp_path / "home/run")
    (tmp_path / "modules").mkdir()
    touch = f"from pathlib import Path\nPath({str(tmp_path / 'touched')!r}).touch()\n"
    (tmp_path / "modules/hostile.py").write_text(touch + "class Layer: ...\nclass Model: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home/run"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert cli.main(arguments) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert len(message) < 600
    return message


@pytest.mark.parametrize("name", list(changes(Path("x"))))
def test_no_code_in_a_network_runs(run: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    touched = run.parents[1] / "touched"
    rewrite(run / "model.keras", changes(touched)[name])
    for command in (["predict", str(run), str(run)], ["export", str(run), "--format", "saved_model"]):
        (run / "image.png").touch()
        assert f"{name.strip()}, which no run writes" in refused(capsys, *command)
    assert not touched.exists()
    assert "hostile" not in sys.modules


@pytest.mark.parametrize("name", ["../touched", "../../touched", "{}/touched", "assets/../../../touched", "assets/x"])
def test_archive_members_are_not_unpacked_elsewhere(run: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    rewrite(run / "model.keras", more={name.replace("{}", str(run.parents[1])): b"x"})
    before = sorted(run.parents[1].rglob("*"))
    (run / "image.png").touch()
    assert "which no run writes" in refused(capsys, "predict", str(run), str(run / "image.png"))
    (run / "image.png").unlink()
    assert sorted(run.parents[1].rglob("*")) == before


@pytest.mark.parametrize(
    "content", [b"", b"PK\x05\x06" + b"\0" * 18, pickle.dumps(Pickled(Path("touched"))), b"\x89HDF\r\n\x1a\n torn"]
)
def test_an_invalid_network_file_is_reported(run: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (run / "model.keras").write_bytes(content)
    (run / "image.png").touch()
    assert "model.keras can't be loaded (" in refused(capsys, "predict", str(run), str(run / "image.png"))
    assert not Path("touched").exists()


def test_checkpoints_are_not_unpickled(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run.with_name("unfinished")
    write_run(folder, status="interrupted")
    (folder / "image.png").touch()
    for file in (folder / "checkpoints").glob("best-*.npz"):
        file.write_bytes(pickle.dumps(Pickled(Path("touched"))))
    assert "can't be loaded (" in refused(capsys, "predict", str(folder), str(folder / "image.png"))
    assert not Path("touched").exists()
