"""What a run leaves behind: its folder, written so that every file is whole at any moment."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from filelock import FileLock, Timeout

from cvlib.config import schema as configuration
from cvlib.config.schema import Config
from cvlib.runs.provenance import git_state, versions
from cvlib.runtime.errors import Diverged, Pruned, RunFailed, UserError, in_words
from cvlib.runtime.files import csv_of, write_atomically

# What processes that were killed may have left in a run's folder.
_HALF_WRITTEN = ("*.*.[0-9]*.partial", ".hydra/*.partial", "checkpoints/*.partial", "partial.keras")
# What may lie in a folder before the summary.json of a run does.
_BEFORE = (".*", "config.yaml", "*.partial", "*.log", "*.out", "*.err")


class Record:
    """The folder of one run, held by one process: `with Record(folder, config) as record: …`.

    Leaving the block by an exception writes the status it means; a `UserError` in a new folder removes
    what was written, for a mistake should leave nothing behind.
    """

    def __init__(self, folder: Path, config: Config, provenance: dict[str, str] | None = None, wait: bool = False):
        self.folder = Path(folder)
        self.config = config
        self._provenance = provenance or {}
        self._created: list[Path] = []
        self._lock = FileLock(self.folder / ".lock", timeout=-1 if wait else 0)
        self.summary: dict[str, Any] = {}
        self.resumed = False

    def __enter__(self) -> Record:
        _refuse_foreign(self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UserError(
                f"{self.folder}: a file is where this folder would be; choose another hydra.run.dir"
            ) from None
        try:
            self._lock.acquire()
        except Timeout:
            raise UserError(
                f"{self.folder}: another process is writing this run; wait for it or choose another hydra.run.dir"
            ) from None
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def _open(self) -> None:
        for pattern in _HALF_WRITTEN:
            for path in self.folder.glob(pattern):
                path.unlink()
        before = read_summary(self.folder)
        if before is None:
            self._start()
            return
        _refuse_other_config(self.folder, before, self.config)
        self.resumed = True
        if not (self.folder / "config.yaml").exists():
            self._write_config()
        self.summary = before
        if not self.completed:
            self.update(status="running", error=None, pid=os.getpid(), host=socket.gethostname())

    def _write_config(self) -> None:
        self.write_text("config.yaml", yaml.safe_dump(dataclasses.asdict(self.config), sort_keys=False))

    def _start(self) -> None:
        self._write_config()
        for name, text in self._provenance.items():
            self.write_text(name, text)
        self.update(
            status="running", name=run_name(self.config), task=self.config.model.task,
            model=self.config.model.name, mode=self.config.mode.name, data=self.config.data.name,
            seed=self.config.seed, precision=self.config.trainer.precision, metrics={}, epochs=0, steps=0,
            parameters={}, weights=None, data_fingerprint=None, timing={}, peak_memory_mb=None,
            versions=versions(), git=git_state(), error=None, config_hash=configuration.identity(self.config),
            pid=os.getpid(), host=socket.gethostname(), started=time.strftime("%Y-%m-%dT%H:%M:%S"),
        )  # fmt: skip

    @property
    def completed(self) -> bool:
        """Whether an earlier process finished this very run."""
        return self.summary.get("status") == "completed"

    def update(self, **fields: Any) -> None:
        """Set fields of summary.json, on disk at once."""
        self.summary.update(fields)
        self.write_text("summary.json", json.dumps(self.summary, indent=2) + "\n")

    def say(self, line: str = "") -> None:
        """Print a line and keep it in train.log."""
        print(line, flush=True)
        self._claim(self.folder / "train.log")
        with (self.folder / "train.log").open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a file of the run atomically."""
        self._claim(self.folder / name)
        write_atomically(self.folder / name, text.encode())

    def write_csv(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write rows of equal keys as a table, atomically."""
        self._claim(self.folder / name)
        write_atomically(self.folder / name, csv_of(rows))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        try:
            if isinstance(error, UserError):
                self._discard()
            elif isinstance(error, KeyboardInterrupt):
                self.update(status="interrupted")
                self.say(f"\ninterrupted: the same command with hydra.run.dir={self.folder} goes on from here")
            elif isinstance(error, Diverged):
                self.update(status="diverged", error=str(error))
            elif isinstance(error, Pruned):
                self.update(status="pruned", error=str(error))
            elif isinstance(error, RunFailed):
                self.update(status="failed", error=str(error))
            elif error is not None:
                self.update(status="failed", error=in_words(error) or f"{type(error).__name__}: {error}"[:2000])
        except OSError:
            if error is None:
                raise
            # The disk is full or gone, which the error itself says; the summary reads interrupted without us.
        finally:
            self._lock.release()

    def _claim(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            self._created.append(path)

    def _discard(self) -> None:
        """Take back what this process wrote, unless an earlier one had begun the run."""
        if self.resumed:
            self.update(status="interrupted")
            return
        for path in [*self._created, self.folder / ".lock"]:
            path.unlink(missing_ok=True)
        for name in ("tensorboard", "checkpoints"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        remove_if_empty(self.folder / ".hydra", self.folder)
        remove_if_empty(self.folder, Path(self.config.output_root))


def run_name(config: Config) -> str:
    """The name given, or model-mode-data."""
    return config.name or f"{config.model.name}-{config.mode.name}-{config.data.name}"


def read_summary(folder: Path) -> dict[str, Any] | None:
    """The summary of a run's folder, None where there is none; a run whose process is gone reads interrupted.

    Its "timing" are numbers, whatever the file holds there.
    """
    path = Path(folder) / "summary.json"
    if not path.is_file():
        return None
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(f"{path} can't be read as JSON: restore it or choose another folder") from None
    if not isinstance(summary, dict):
        raise UserError(f"{path} is not a run's summary: restore it or choose another folder")
    if summary.get("status") == "running" and process_is_gone(summary):
        summary["status"] = "interrupted"
    timing = summary.get("timing")
    known = timing.items() if isinstance(timing, dict) else ()
    summary["timing"] = {part: seconds for part, seconds in known if isinstance(seconds, int | float)}
    return summary


def overridden(folder: Path) -> frozenset[str]:
    """The keys that were given on the command line of the run in `folder`, where it recorded them."""
    path = folder / ".hydra/overrides.yaml"
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return frozenset()
    return frozenset(re.findall(r"^- ['\"]?[+~]*([\w.]+)=", text, flags=re.MULTILINE))


def process_is_gone(summary: dict[str, Any]) -> bool:
    """Of another machine's processes nothing is known, so its runs keep their word."""
    pid = summary.get("pid")
    if summary.get("host") not in (None, socket.gethostname()):
        return False
    if not isinstance(pid, int) or pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _refuse_foreign(folder: Path) -> None:
    """A folder that holds other things than a run's, such as somebody's photos, is nothing to write a run into.

    Before there is a summary.json a run has written nothing but its config; what starts it may keep a log there.
    """
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    others = [file.name for file in found if not any(file.match(pattern) for pattern in _BEFORE)]
    if others and not (folder / "summary.json").exists():
        raise UserError(f"{folder} is no run's folder (no summary.json) and holds other things ({others[0]}): choose "
                        "another hydra.run.dir, one that is empty or not there yet")  # fmt: skip


def _refuse_other_config(folder: Path, summary: dict[str, Any], config: Config) -> None:
    if summary.get("config_hash") == configuration.identity(config):
        return
    try:
        earlier = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise UserError(f"{folder} holds a run of another config, and its config.yaml, which would tell what differs, "
                        "can't be read: choose another hydra.run.dir") from None  # fmt: skip
    now = dataclasses.asdict(config)
    differing = [
        f"{key}: {was} there, {is_now} now"
        for key, was, is_now in _differences(earlier, now)
        if key not in ("name", "output_root")
    ]
    raise UserError(
        f"{folder} holds a run of another config ({'; '.join(differing[:3])}): "
        "choose another hydra.run.dir, or give the overrides of that run"
    )


def _differences(first: Any, second: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(first, dict) and isinstance(second, dict):
        keys = dict.fromkeys([*first, *second])
        return [d for key in keys for d in _differences(first.get(key), second.get(key), f"{prefix}.{key}".lstrip("."))]
    return [] if first == second else [(prefix, first, second)]


def remove_if_empty(folder: Path, root: Path) -> None:
    """Remove `folder` if it is empty, and its empty parents up to and with `root` where it lies in it."""
    folder, root = folder.resolve(), root.resolve()
    while True:
        try:
            if folder.exists():
                folder.rmdir()
        except OSError:
            return
        if folder == root or root not in folder.parents:
            return
        folder = folder.parent
