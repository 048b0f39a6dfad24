"""Every command of the README, the guides and the tutorials runs. Overrides shorten the long ones.

Tests run in any order, so each creates its own inputs first. Most commands are forked (tests/programs.py).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import programs

ROOT = Path(__file__).parents[1]
FOLDERS = ("guides", "howto", "start", "tutorials", "concepts")
PAGES = [ROOT / "README.md", *(page for name in FOLDERS for page in sorted((ROOT / "docs" / name).glob("*.md")))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
SHORT = ["trainer.epochs=1", "trainer.steps_per_epoch=1"]
PRETRAINING = ["data.pretrain_samples=200", "data.pretrain_epochs=1"]
SMALLER = {  # the first word that a command contains selects its overrides; other commands get PRETRAINING
    "data=folder": [],
    "data=letters": ["data.samples=300"],
    "data=clothing": ["data.image_size=64"],
    "task=multilabel": ["data.samples=200"],
    "model=yolo": ["data.samples=60"],
    "model=segmenter": ["data.samples=60"],
    "model=resnet": ["data.samples=200", *PRETRAINING],
    "model=cnn,resnet": ["data.samples=200", *PRETRAINING],
}
REPLACED = {"trainer.epochs=30": "trainer.epochs=2", "trainer.epochs=40": "trainer.epochs=3",
            "hydra.sweeper.trials=10": "hydra.sweeper.trials=2"}  # fmt: skip
REAL = ("python run.py task=multilabel", "cvlib cache")  # these start the interpreter, as users do

TUTORIALS = {"outputs/photos", "outputs/clothing", "outputs/runs/cards", "outputs/runs/cats_dogs"}
SMALL = (
    ("data.image_size=96", "data.image_size=32"),
    ("data.image_size=128", "data.image_size=64"),
    ("mode=feature_extractor,finetune", "mode=finetune"),
    ("mode=scratch,feature_extractor", "mode=feature_extractor"),
    ("seed=0,1,2", "seed=0"),
    ("trainer.epochs=10", "trainer.epochs=1"),
    ("trainer.epochs=6", "trainer.epochs=1"),
)

MAKERS = {
    "outputs/runs/mine": "python run.py trainer.epochs=30 hydra.run.dir=outputs/runs/mine",
    "outputs/runs/letters": "python run.py model=cnn data=letters data.image_size=8 trainer.epochs=3 "
    "hydra.run.dir=outputs/runs/letters",
    "outputs/letters": "python run.py -m model=cnn,darknet data=letters data.channels=3 "
    "hydra.sweep.dir=outputs/letters hydra.sweep.subdir='${model.name}'",
    "outputs/pair": "python run.py -m model=cnn seed=0,1 data.split_seed=0 hydra.sweep.dir=outputs/pair "
    "hydra.sweep.subdir='${seed}'",
    "outputs/photos": "python run.py -m model=efficientnet_lite mode=feature_extractor,finetune seed=0,1,2 "
    "data.split_seed=0 data=folder data.path=my_images data.image_size=96 hydra.sweep.dir=outputs/photos "
    "hydra.sweep.subdir='${mode.name}-${seed}'",
    "outputs/clothing": "python run.py -m model=efficientnet_lite mode=scratch,feature_extractor data=clothing "
    "data.image_size=96 trainer.epochs=6 hydra.sweep.dir=outputs/clothing hydra.sweep.subdir='${mode.name}'",
    "outputs/runs/cards": "python run.py model=yolo model.backbone=efficientnet_lite mode=finetune data=cards "
    "data.image_size=128 augment.horizontal_flip=0 trainer.epochs=10 "
    "hydra.run.dir=outputs/runs/cards",
    "outputs/runs/cats_dogs": "python run.py model=segmenter model.encoder=efficientnet_lite mode=feature_extractor "
    "data=cats_dogs data.image_size=128 augment=random_crop trainer.epochs=10 hydra.run.dir=outputs/runs/cats_dogs",
    "outputs/runs/mine/export/saved_model": "cvlib export outputs/runs/mine --format saved_model",
    "outputs/runs/mine/export/model.onnx": "cvlib export outputs/runs/mine --format onnx",
    "outputs/runs/mine/export/model.tflite": "cvlib export outputs/runs/mine --format litert",
}


def commands() -> list[str]:
    """Return the different commands of all pages, in order."""
    blocks = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    return list(dict.fromkeys(line for block in blocks for line in block.strip().splitlines()))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the repository's files, with some user images."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    random = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / "my_images" / label).mkdir(parents=True)
        for index in range(6):
            pixels = random.integers(0, 256, (40, 50, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "my_images" / label / f"{index}.jpg")
    rows = [f"my_images/{label}/{index}.jpg,{label}{'|young' * (index % 2)}\n"
            for label in ("cat", "dog") for index in range(6)]  # fmt: skip
    (folder / "labels.csv").write_text("file,labels\n" + "".join(rows))
    (folder / "digits").mkdir()
    scans = ["file,label,camera\n"]
    for index in range(12):
        Image.fromarray(random.integers(0, 256, (8, 8)).astype(np.uint8)).save(folder / f"digits/{index}.png")
        scans.append(f"digits/{index}.png,{index % 3},{'AB'[index % 2]}\n")
    (folder / "digits.csv").write_text("".join(scans))
    predicted = [f"my_images/{label}/{index}.jpg,cat\n" for label in ("cat", "dog") for index in range(6)]
    (folder / "predictions.csv").write_text("file,prediction\n" + "".join(predicted))
    return folder


def shortened(command: str) -> list[str]:
    words = shlex.split(command)
    if "recommend" in words:
        return [*words, "--minutes", "0.2"]
    if "run.py" not in words:
        return words
    given = {word.split("=")[0] for word in words}
    if any(word.endswith(f".dir={folder}") for word in words for folder in TUTORIALS):
        return _small(words)
    smaller = next((overrides for word, overrides in SMALLER.items() if word in words), PRETRAINING)
    extra = [override for override in SHORT + smaller if override.split("=")[0] not in given]
    if "+experiment=regimes" in words:
        extra += ["seed=0"]
    return [REPLACED.get(word, word) for word in words] + extra


def _small(words: list[str]) -> list[str]:
    """Return the command of a tutorial with small images, one step, and only the job that later commands use."""
    small = dict(SMALL)
    return [*(small.get(word, word) for word in words), "trainer.steps_per_epoch=1"]


def is_made(place: Path) -> bool:
    """Return whether the file exists, or the folder holds a complete run, sweep or SavedModel."""
    names = ("summary.json", "sweep.csv", "saved_model.pb")
    return place.is_file() or any((place / name).exists() for name in names)


def make(clone: Path, text: str) -> None:
    """Run the commands that create the inputs of `text`, because tests may run in any order."""
    for place, maker in MAKERS.items():
        if place in text and maker != text and not is_made(clone / place):
            made = run(clone, maker)
            assert made.returncode == 0, made.stderr[-2000:]


def run(clone: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the README, after the commands that create its inputs."""
    make(clone, command)
    words = shortened(command)
    if command not in REAL:
        program = (programs.RUN, *words[2:]) if words[:2] == ["python", "run.py"] else (*programs.CVLIB, *words[1:])
        return programs.run(clone, *program)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(words, cwd=clone, env=environment, capture_output=True, text=True, timeout=900, check=False)


def test_the_commands_named_here_are_in_the_readme() -> None:
    assert {*MAKERS.values(), *REAL} <= set(commands())


def test_the_setup_commands_match_continuous_integration() -> None:
    setup = [command for command in commands() if "venv" in command]
    assert len(setup) == 2
    assert all(command.startswith("python3 -m venv .venv && .venv/bin/pip install -e ") for command in setup)


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in commands() if "venv" not in c and "tensorboard" not in c])
def test_a_command_of_the_readme_runs(clone: Path, command: str) -> None:
    if command.startswith(("cvlib compare", "cvlib runs")):
        make(clone, "outputs/runs/mine")
    if command.startswith("python run.py trainer.epochs=40"):  # replaces the results of a run that other tests read
        make(clone, command)
        shutil.copytree(clone / "outputs/runs/mine", clone / "more/runs/mine")
        command = command.replace("outputs/", "more/")
    result = run(clone, command)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_the_python_of_the_readme_runs(clone: Path, code: str) -> None:
    make(clone, code)
    Image.fromarray(np.full((17, 9), 128, np.uint8)).save(clone / "digit.png")
    result = programs.run(clone, "-c", code)
    assert result.returncode == 0, result.stderr
    if "digit.png" in code:
        assert result.stdout.split()[-1] in set("0123456789")
