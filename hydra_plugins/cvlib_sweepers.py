"""Our sweepers, where Hydra looks for them: what they decide is in `cvlib.sweep` and `cvlib.search`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from cvlib import command, config, sweep
from cvlib.errors import RunFailed, UserError
from cvlib.sweep import Job

# Here rather than in run.py, for this module is what the processes of every launcher import.
for name, resolver in {
    "first": lambda *values: next(value for value in values if value is not None),
    "folder_name": command.folder_name,
    "cores_per_job": command.cores_per_job,
}.items():
    OmegaConf.register_new_resolver(name, resolver, replace=True)

_RELAUNCHES = 3
_EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit": "slurm"}


class Composed(NamedTuple):
    """A job's config, ready to run: what `run.py` would have been given."""

    config: DictConfig
    folder: Path
    hydra: DictConfig


class _OurSweeper(Sweeper):
    """What the two sweepers share: overrides in, composed jobs out."""

    hydra_context: HydraContext
    config: DictConfig
    params: dict[str, Any] | None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        # Absolute, for jobs may run on another machine or from another folder.
        with read_write(config), open_dict(config):
            config.hydra.sweep.dir = str(Path(config.hydra.sweep.dir).resolve())
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={_quoted(config.hydra.sweep.dir)}")
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    @property
    def folder(self) -> Path:
        """The sweep's."""
        return Path(self.config.hydra.sweep.dir)

    def overrides(self, arguments: list[str]) -> list[Override]:
        """Those of the study or space, then those of the command line, parsed."""
        given = [f"{key}={value}" for key, value in (self.params or {}).items()] + arguments
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        return list({one.get_key_element(): one for one in parser.parse_overrides(given)}.values())

    def compose(self, overrides: Sequence[str]) -> Composed:
        """The config of one job; Hydra's errors go up."""
        composed = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with _current(composed):
            folder = self.folder / composed.hydra.sweep.subdir
            with read_write(composed.hydra.runtime), open_dict(composed.hydra.runtime):
                composed.hydra.runtime.output_dir = str(folder)
            return Composed(composed, folder, composed.hydra)


class ResumableSweeper(_OurSweeper):
    """Every combination once, by any launcher; what is completed is left, and the rest goes on."""

    def __init__(self, params: dict[str, str] | None = None, rerun_failed: bool = False):
        self.params = params
        self.rerun_failed = rerun_failed

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.launcher = _launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> None:
        """Run what is to run; raises `RunFailed` where a job is not completed at the end."""
        jobs = self._jobs(arguments)
        running = sweep.to_run(jobs, self.rerun_failed)
        print(sweep.announce(jobs, running, self.rerun_failed), flush=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, self.folder / "multirun.yaml")
        sweep.write_plan(self.folder, jobs, running)
        errors: dict[Path, str] = {}
        try:
            self._launch(running, errors)
        except KeyboardInterrupt:
            sweep.settle(running)
            sweep.conclude(self.folder, jobs, errors, interrupted=True)
            raise
        sweep.conclude(self.folder, jobs, errors)

    def _jobs(self, arguments: list[str]) -> list[Job]:
        batches = BasicSweeper.split_arguments(self.overrides(arguments), max_batch_size=None)
        combinations = [tuple(job) for batch in batches for job in batch]
        jobs: dict[Path, Job] = {}
        for overrides, label in zip(combinations, sweep.labels(combinations), strict=True):
            composed = self.compose(overrides)
            jobs.setdefault(composed.folder, Job(label, overrides, composed.folder, _mistake(composed)))
        return list(jobs.values())

    def _launch(self, jobs: list[Job], errors: dict[Path, str]) -> None:
        """Give the jobs to the launcher, and what it lost with a killed process once more."""
        for attempt in range(_RELAUNCHES + 1):
            if not jobs:
                return
            try:
                returned = self.launcher.launch([list(job.overrides) for job in jobs], initial_job_idx=0)
            except (ImportError, UserError):
                raise
            except Exception as error:
                lost = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
                if attempt == _RELAUNCHES:
                    raise RunFailed(f"the launcher lost its processes {attempt + 1} times: {lost}") from error
                print(f"the launcher lost a process ({lost}): going on with what is not completed", flush=True)
                sweep.settle(jobs)
                jobs = sweep.to_run(jobs, self.rerun_failed and attempt == 0)
                continue
            for job, one in zip(jobs, returned, strict=True):
                if error_text := one.return_value:
                    errors[job.folder] = error_text
            return


@contextmanager
def _current(composed: DictConfig) -> Iterator[None]:
    """Let `${hydra:…}` read from this job's config."""
    holder = HydraConfig.instance()
    before = holder.cfg
    holder.set_config(composed)
    try:
        yield
    finally:
        holder.cfg = before


def _mistake(composed: Composed) -> str | None:
    task = OmegaConf.masked_copy(composed.config, [key for key in composed.config if key != "hydra"])
    try:
        config.from_composed(task)
    except UserError as error:
        return str(error)
    return None


def _launcher(hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> Launcher:
    target = str(config.hydra.launcher._target_)
    for word, extra in _EXTRAS.items():
        if f"hydra_{word}_launcher" in target and target not in Plugins.instance().class_name_to_class:
            chosen = config.hydra.runtime.choices["hydra/launcher"]
            raise UserError(f"hydra/launcher={chosen} isn't installed: pip install -e '.[{extra}]'")
    launcher: Launcher = Plugins.instance().instantiate_launcher(
        hydra_context=hydra_context, task_function=task_function, config=config
    )
    return launcher


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
