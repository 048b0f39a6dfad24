"""Write a run's folder so that its files are never incomplete."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock

from cvlib.runs import metric_specs
from cvlib.runs.config_file import to_yaml
from cvlib.runs.folder_checks import refuse_foreign, refuse_other_config, refuse_unfinished_of_form_1
from cvlib.runs.identity import identity
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runs.provenance import git_state, versions
from cvlib.runs.run import SPLITS
from cvlib.runs.summary import LOCK, acquire, read_summary
from cvlib.runs.upgrade import FORM
from cvlib.runtime.errors import Diverged, Pruned, RunFailed, UserError, cause_and_advice, user_message
from cvlib.runtime.files import csv_of, remove, write_atomically

# Incomplete files that killed processes may have left in a run's folder.
_HALF_WRITTEN = ("*.*.[0-9]*.partial", ".hydra/*.partial", "checkpoints/*.partial", "partial.keras")


class Record:
    """The folder of one run, locked by one process: `with Record(folder, mapping) as record: …`.

    If the block ends with an exception, the matching status is written. A `UserError` in a new folder removes all
    files of the run, because invalid input should leave nothing behind.

    Args:
        folder: the run's folder.
        mapping: the run's whole config, nested as in config.yaml, with `trainer.precision` resolved.
        provenance: additional files for the folder, file name → text.
        wait: how many seconds to wait for another process that is writing the run, before a `UserError` is raised;
            −1: until it ends.
        specs: the specs of the task's metrics, the headline metric first.
        home: the folder that messages name, if `folder` replaces its content at the end.
    """

    def __init__(
        self, folder: Path, mapping: Mapping[str, Any], provenance: dict[str, str] | None = None, wait: float = 0,
        specs: Iterable[MetricSpec] = (), home: Path | None = None,
    ):  # fmt: skip
        self.folder = Path(folder)
        self.home = Path(home or folder)
        self.mapping = mapping
        self._specs = metric_specs.to_json(specs)
        self._provenance = provenance or {}
        self._created: list[Path] = []
        self._lock = FileLock(self.folder / LOCK, timeout=wait)
        self.summary: dict[str, Any] = {}
        self.resumed = False

    def __enter__(self) -> Record:
        refuse_foreign(self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UserError(
                f"{self.folder} or a folder above it is a file, not a folder: choose another hydra.run.dir"
            ) from None
        try:
            acquire(self._lock, self.folder)
        except OSError:  # the folder is read-only, which is enough for a completed run
            before = read_summary(self.folder) or {}
            if before.get("status") != "completed" or before.get("config_hash") != identity(self.mapping):
                raise
            self.summary, self.resumed = before, True
            return self
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def _open(self) -> None:
        for pattern in _HALF_WRITTEN:
            for path in self.folder.glob(pattern):
                remove(path)
        before = read_summary(self.folder)
        if before is None:
            self._start()
            return
        refuse_unfinished_of_form_1(self.folder, before)
        refuse_other_config(self.folder, before, self.mapping)
        self.resumed = True
        if not (self.folder / "config.yaml").exists():
            self._write_config()
        self.summary = before
        if not self.completed:
            self.update(status="running", error=None, pid=os.getpid(), host=socket.gethostname())

    def _write_config(self) -> None:
        self.write_text("config.yaml", to_yaml(self.mapping))

    def _start(self) -> None:
        self._write_config()
        for name, text in self._provenance.items():
            self.write_text(name, text)
        config = self.mapping
        self.update(
            form=FORM, status="running", name=run_name(config), task=config["model"]["task"],
            model=config["model"]["name"], mode=config["mode"]["name"], data=config["data"]["name"],
            seed=config["seed"], precision=config.get("trainer", {}).get("precision"), metrics={}, epochs=0, steps=0,
            parameters={}, weights=None, data_fingerprint=None, timing={}, peak_memory_mb=None,
            versions=versions(), git=git_state(), error=None, config_hash=identity(config),
            pid=os.getpid(), host=socket.gethostname(), started=time.strftime("%Y-%m-%dT%H:%M:%S"),
            metric_specs=self._specs,
        )  # fmt: skip

    @property
    def completed(self) -> bool:
        """Whether an earlier process completed this run."""
        return self.summary.get("status") == "completed"

    def update(self, **fields: Any) -> None:
        """Set fields of summary.json and write it immediately."""
        changed = self.summary | fields
        self.write_text("summary.json", json.dumps(changed, indent=2) + "\n")
        self.summary = changed

    def keep_data(self, fingerprint: str) -> None:
        """Check that a resumed run has the same data as before; if the data has moved, record its new place.

        Raises `UserError` if the data is different.
        """
        before, path = self.summary.get("data_fingerprint"), self.mapping["data"].get("path")
        if self.resumed and before not in (None, fingerprint):
            named = f"data.path={path}" if path else f"data={self.mapping['data']['name']}"
            raise UserError(f"{self.folder}: {named} has other images, labels or splits than when this run began: "
                            "restore them, or choose another hydra.run.dir to start a new run")  # fmt: skip
        if self.resumed and self.summary.get("config_hash") != identity(self.mapping):
            self._write_config()
            self.update(config_hash=identity(self.mapping))
            self.say(f"note: the images have moved to data.path={path}")

    def say(self, line: str = "") -> None:
        """Print a line and append it to train.log."""
        print(line, flush=True)
        self._claim(self.folder / "train.log")
        with (self.folder / "train.log").open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(line + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a file of the run atomically."""
        self._claim(self.folder / name)
        write_atomically(self.folder / name, text)

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file of the run atomically."""
        self._claim(self.folder / name)
        write_atomically(self.folder / name, content)

    def write_csv(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write rows with equal keys as a table, atomically."""
        self.write_text(name, csv_of(rows))

    def write_splits(self, splits: Mapping[str, Sequence[str]]) -> None:
        """Write the names of each split's samples: "train", "val" or "test" → names."""
        content = {split: [str(name) for name in names] for split, names in splits.items()}
        self.write_text(SPLITS, json.dumps(content, indent=0, ensure_ascii=False) + "\n")

    def check_place(self) -> None:
        """Raise `RunFailed` if the folder was moved or removed, because writing would create half a run."""
        if self.summary and not (self.folder / "summary.json").is_file():
            raise RunFailed(f"{self.folder} was moved or removed while the run was writing to it: the run stops; if it "
                            "was moved, the same command with its new hydra.run.dir resumes it")  # fmt: skip

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> bool:  # fmt: skip
        try:
            if self.completed:
                return self._finished_despite(error)
            self._conclude(error)
        except (OSError, RunFailed):
            if error is None:
                raise
            # The disk or the folder is gone, as the raised error reports. Without an update, the run counts as
            # interrupted.
        finally:
            self._lock.release()
        return False

    def _finished_despite(self, error: BaseException | None) -> bool:
        """Return whether the error can be ignored: an error of the environment after the run was completed."""
        cause = cause_and_advice(error) if error is not None else None
        if cause is not None:
            print(f"note: the run is completed, but {cause[0]}", file=sys.stderr)
        return cause is not None

    def _conclude(self, error: BaseException | None) -> None:
        """Write the status of a run that ends unfinished."""
        if isinstance(error, UserError):
            self._discard()
        elif isinstance(error, KeyboardInterrupt):
            self.update(status="interrupted")
            self.say(f"\ninterrupted: the same command with hydra.run.dir={self.home} resumes from here")
        elif isinstance(error, RunFailed):
            statuses = {Diverged: "diverged", Pruned: "pruned"}
            self.update(status=statuses.get(type(error), "failed"), error=str(error))
        elif error is not None:
            self.update(status="failed", error=user_message(error) or f"{type(error).__name__}: {error}"[:2000])

    def _claim(self, path: Path) -> None:
        self.check_place()
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            self._created.append(path)

    def _discard(self) -> None:
        """Remove the files that this process wrote, unless an earlier process started the run."""
        if self.resumed:
            self.update(status="interrupted")
            return
        for path in [*self._created, self.folder / LOCK]:
            path.unlink(missing_ok=True)
        for name in ("tensorboard", "checkpoints"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        remove_if_empty(self.folder / ".hydra", self.folder)
        remove_if_empty(self.folder, Path(self.mapping["output_root"]))


def run_name(mapping: Mapping[str, Any]) -> str:
    """Return the run's name as configured, or model-mode-data."""
    default = "-".join(str(mapping[group]["name"]) for group in ("model", "mode", "data"))
    return str(mapping.get("name") or default)


def remove_if_empty(folder: Path, root: Path) -> None:
    """Remove `folder` if it is empty, and then its empty parents up to and including `root`."""
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
