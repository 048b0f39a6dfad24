"""Continue a completed run in a subfolder, which replaces the old result at the end: with more epochs, or to the test.

A run that left the test split unread (`trainer.test=false`) continues with its evaluation.

Until then, the folder holds the completed run as before. An interrupted continuation is an unfinished run in the
subfolder, and the same command resumes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from cvlib.runs import corruptions
from cvlib.runs.config_file import read_config, to_yaml
from cvlib.runs.identity import identity
from cvlib.runs.summary import LOCK, acquire, read_summary
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import publish, remove, replacing, write_atomically

STAGING = "continued"
# Parts of the completed run that its continuation starts from.
_PARTS = ("checkpoints", "tensorboard", "metrics.csv", "splits.json", "layers.txt")


def continues(folder: Path, mapping: Mapping[str, Any]) -> bool:
    """Return whether `folder` holds a completed run whose config has fewer epochs, or no test, but else is `mapping`.

    `mapping` is nested as in config.yaml, with `trainer.precision` resolved.
    """
    summary = read_summary(folder)
    if summary is None or summary.get("status") != "completed" or summary.get("config_hash") == identity(mapping):
        return False
    if _adds_test(summary, mapping):
        return True
    if mapping["trainer"].get("minutes") is not None:  # the time ends the run, not the epochs
        return False
    try:
        before = (read_config(folder / "config.yaml").get("trainer") or {}).get("epochs")
    except (OSError, UnicodeDecodeError, ValueError, AttributeError, yaml.YAMLError):
        return False
    if type(before) is not int or before >= mapping["trainer"]["epochs"]:
        return False
    return bool(identity(_changed(mapping, epochs=before)) == summary.get("config_hash"))


def _adds_test(summary: Mapping[str, Any], mapping: Mapping[str, Any]) -> bool:
    """Return whether the run of `summary` has the config `mapping`, but left the test split unread."""
    return mapping["trainer"].get("test", True) and identity(_changed(mapping, test=False)) == summary.get(
        "config_hash"
    )


def _changed(mapping: Mapping[str, Any], **trainer: Any) -> dict[str, Any]:
    return {**mapping, "trainer": {**mapping["trainer"], **trainer}}


@contextlib.contextmanager
def continued(
    folder: Path, mapping: Mapping[str, Any], provenance: Mapping[str, str] | None = None, wait: float = 0
) -> Iterator[Path]:  # fmt: skip
    """Yield the subfolder in which the completed run in `folder` continues; at the end, it replaces the old result.

    After an exception in the block, the old result stays, and the subfolder is kept for a resume. If the process is
    killed while the result is replaced, the same command completes the replacement.

    Args:
        folder: the run's folder; its lock is held within the block.
        mapping: the config with more epochs.
        provenance: further files for the folder, as name → text.
        wait: how many seconds to wait for another process that is writing the run; −1: until it ends.

    Raises:
        UserError: if the run's last state is missing, if patience stopped it, or if an unfinished continuation has
            another number of epochs.
    """
    lock, staging = FileLock(folder / LOCK, timeout=wait), folder / STAGING
    acquire(lock, folder)
    try:
        if (staging / "summary.json").is_file():
            _refuse_other_epochs(folder, mapping)
        else:
            _prepare(folder, mapping, provenance or {})
        yield staging
        if (read_summary(staging) or {}).get("best_epoch") != (read_summary(folder) or {}).get("best_epoch"):
            for name in (corruptions.FILE, "val_results.csv"):  # they are about the network of another epoch
                remove(folder / name)
        for path in sorted(staging.iterdir(), key=lambda path: path.name == "summary.json"):  # the summary comes last
            if path.name != LOCK:
                publish(path, folder / path.name)
        remove(staging)
    finally:
        lock.release()


def _prepare(folder: Path, mapping: Mapping[str, Any], provenance: Mapping[str, str]) -> None:
    checkpoints, summary = folder / "checkpoints", read_summary(folder) or {}
    only_test = _adds_test(summary, mapping)
    goal = "trainer.test=true" if only_test else f"trainer.epochs={mapping['trainer']['epochs']}"
    if not list(checkpoints.glob("epoch-*.npz")):
        raise UserError(f"{folder} is completed, and its last state was not kept (trainer.keep_state=false, or an "
                        f"earlier version), so it can't continue to {goal}: choose another hydra.run.dir")  # fmt: skip
    if not only_test and _stopped_early(checkpoints / "completed.json"):
        raise UserError(f"{folder} is completed: trainer.patience stopped it before its last epoch, so a higher "
                        "trainer.epochs changes nothing; choose another hydra.run.dir")  # fmt: skip
    with replacing(folder / STAGING) as temporary:
        temporary.mkdir()
        for name in _PARTS:
            if (folder / name).is_dir():
                shutil.copytree(folder / name, temporary / name, copy_function=_link)
            elif (folder / name).is_file():
                _link(folder / name, temporary / name)
        if (folder / "train.log").is_file():
            shutil.copyfile(folder / "train.log", temporary / "train.log")  # a link would append to the old file
        for name, text in {**provenance, "config.yaml": to_yaml(mapping)}.items():
            write_atomically(temporary / name, text.encode())
        fields = {"status": "interrupted", "config_hash": identity(mapping), "error": None}
        write_atomically(temporary / "summary.json", json.dumps(summary | fields, indent=2).encode())


def _link(source: Any, target: Any) -> Any:
    """Link a file that is only replaced, never changed; copy it on a file system without links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _stopped_early(file: Path) -> bool:
    try:
        return bool(json.loads(file.read_text(encoding="utf-8")).get("stopped"))
    except (OSError, ValueError, AttributeError):
        return False


def _refuse_other_epochs(folder: Path, mapping: Mapping[str, Any]) -> None:
    staging = folder / STAGING
    unfinished = read_summary(staging) or {}
    if unfinished.get("config_hash") != identity(mapping):
        try:
            planned = read_config(staging / "config.yaml")["trainer"]["epochs"]
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, yaml.YAMLError):
            planned = "another number of epochs"
        raise UserError(f"{folder}: its continuation to trainer.epochs={planned} is unfinished: finish it first with "
                        f"this value, or delete {staging} to keep the completed run")  # fmt: skip
