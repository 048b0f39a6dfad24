"""The wheel, installed without a clone: every kind of command works in an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "cvlib", "conf", "experiments", "hydra_plugins")
QUICK = ("trainer=debug", "model.filters=[4]", "model.dense=[8]")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment with the wheel and, after it on the path, the packages of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    for part in PARTS:  # build in a copy, because a build writes files beside the sources
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / "source" / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / "source").mkdir(exist_ok=True)
            shutil.copy(ROOT / part, folder / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", folder, folder / "source"], check=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", symlinks=True)
    subprocess.run([*pip, "--python", folder / "env", "install", "-q", "--no-deps", wheel], check=True)
    (site,) = folder.glob("env/lib/python*/site-packages")
    (site / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "env"


def run(environment: Path, folder: Path, *command: str) -> str:
    """Run the command in `folder`, assert that it succeeds, and return its output."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    program, *arguments = command
    done = subprocess.run([environment / "bin" / program, *arguments], cwd=folder, env=clean, capture_output=True,
                          text=True, timeout=600, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_conf_and_studies_are_inside_the_package(environment: Path) -> None:
    (site,) = environment.glob("lib/python*/site-packages")
    assert not {"conf", "experiments", "tests", "run.py"} & {path.name for path in site.iterdir()}
    for name in ("py.typed", "conf/config.yaml", "experiments/regimes.yaml", "data/photographs/cards/LICENSE"):
        assert (site / "cvlib" / name).is_file(), name
    assert (site / "hydra_plugins/cvlib_sweepers.py").is_file()


def test_a_run_an_inspection_and_the_python_interface_work(environment: Path, tmp_path: Path) -> None:
    assert "recorded in " in run(environment, tmp_path, "cvlib", "train", "model=cnn", *QUICK)
    inspected = run(environment, tmp_path, "cvlib", "inspect", "model=resnet", "data.image_size=64")
    assert "total: 23,608,202 parameters" in inspected
    code = f"import cvlib; print(cvlib.__file__, cvlib.train('model=cnn', *{QUICK}).summary['status'])"
    file, status = run(environment, tmp_path, "python", "-c", code).split()[-2:]
    assert Path(file).is_relative_to(environment) and status == "completed"


def test_a_sweep_and_a_study_run(environment: Path, tmp_path: Path) -> None:
    assert "2 completed runs" in run(environment, tmp_path, "cvlib", "train", "-m", "seed=0,1", "name=both", *QUICK)
    one_seed = ("hydra.sweeper.params.seed=0", "data.pretrain_epochs=1", "data.pretrain_samples=200")
    assert "3 completed runs" in run(environment, tmp_path, "cvlib", "train", "+experiment=regimes", *one_seed, *QUICK)


def test_user_configs_are_added_and_take_precedence(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text("defaults: [cnn, _self_]\nfilters: [3]\n")
    (tmp_path / "conf/trainer").mkdir()
    (tmp_path / "conf/trainer/debug.yaml").write_text("defaults: [default]\nepochs: 1\nsteps_per_epoch: 1\n")
    run(environment, tmp_path, "cvlib", "train", "model=mine", "trainer=debug", "hydra.run.dir=out")
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert (summary["epochs"], summary["steps"]) == (1, 1)
    assert "filters:\n  - 3\n" in (tmp_path / "out/config.yaml").read_text()
