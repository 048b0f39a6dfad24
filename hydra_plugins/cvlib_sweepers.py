"""Our sweepers, where Hydra looks for them: what they decide is in `cvlib.sweeps.jobs` and `cvlib.sweeps.search`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
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

from cvlib.cli import jobs as command
from cvlib.config import checks
from cvlib.config import schema as config
from cvlib.runtime.errors import UserError
from cvlib.sweeps import jobs as sweep
from cvlib.sweeps.jobs import Job
from cvlib.transfer import sources

# Here rather than in run.py, for this module is what the processes of every launcher import.
_RESOLVERS: dict[str, Callable[..., Any]] = {
    "first": lambda *values: next(value for value in values if value is not None),
    "folder_name": command.folder_name,
    "cores_per_job": command.cores_per_job,
}
for name, resolver in _RESOLVERS.items():
    OmegaConf.register_new_resolver(name, resolver, replace=True)

_RELAUNCHES = 3
_EXAMPLES = 64  # of a space, the most that are tried before a search starts


class Composed(NamedTuple):
    """A job's config, ready to run: what `run.py` would have been given."""

    config: DictConfig
    folder: Path
    hydra: DictConfig


class ResumableSweeper(Sweeper):
    """Every combination once by any launcher, or a search among them; what is completed is left, the rest goes on."""

    hydra_context: HydraContext
    config: DictConfig
    launcher: Launcher

    def __init__(self, params: dict[str, str] | None, rerun_failed: bool, trials: int | None, **search: Any):
        self.params = params
        self.rerun_failed = rerun_failed
        self.trials = trials
        self.search_options = search

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        # Absolute, for jobs may run on another machine or from another folder.
        with read_write(config), open_dict(config):
            config.hydra.sweep.dir = str(Path(config.hydra.sweep.dir).resolve())
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={_quoted(config.hydra.sweep.dir)}")
        self.hydra_context, self.config = hydra_context, config
        self.launcher = _launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> None:
        """Run what is to run; raises `RunFailed` where a job is not completed at the end."""
        overrides = self.overrides(arguments)
        empty = [one.input_line for one in overrides if one.is_discrete_sweep() and not list(one.sweep_iterator())]
        if empty:
            raise UserError(f"{empty[0]}: no value is left to sweep over")
        self.scratch_among_others = self._is_scratch_among_others(overrides)
        if self.trials is None:
            self._every(overrides)
        else:
            self._search(overrides)

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
        composed = self.hydra_context.config_loader.load_sweep_config(self.config, self._applying(overrides))
        with _current(composed):
            folder = self.folder / composed.hydra.sweep.subdir
            with read_write(composed.hydra.runtime), open_dict(composed.hydra.runtime):
                composed.hydra.runtime.output_dir = str(folder)
            return Composed(composed, folder, composed.hydra)

    def _is_scratch_among_others(self, overrides: list[Override]) -> bool:
        """Whether `mode.weights` is given for a sweep over modes, one of which takes none; says so."""
        swept = [one for one in overrides if one.get_key_element() == "mode" and one.is_discrete_sweep()]
        modes = [str(mode) for one in swept for mode in one.sweep_string_iterator()]
        others = [mode for mode in modes if mode != sweep.SCRATCH]
        weights = any(one.get_key_element() == "mode.weights" for one in overrides)
        if not weights or not others or len(others) == len(modes):
            return False
        print(f"mode.weights applies to {', '.join(others)}: mode={sweep.SCRATCH} starts from random weights and "
              "leaves it out", flush=True)  # fmt: skip
        return True

    def _applying(self, overrides: Sequence[str]) -> list[str]:
        return sweep.applying(overrides) if self.scratch_among_others else list(overrides)

    def _every(self, overrides: list[Override]) -> None:
        jobs = self._jobs(overrides)
        if all(job.mistake for job in jobs):
            raise UserError(f"{jobs[0].label}: {jobs[0].mistake}")
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

    def _jobs(self, overrides: list[Override]) -> list[Job]:
        for override in overrides:
            if override.is_interval_sweep():
                raise UserError(f"{override.input_line}: an interval is searched, not run through; say how long with "
                                "hydra.sweeper.trials=20")  # fmt: skip
        batches = BasicSweeper.split_arguments(overrides, max_batch_size=None)
        combinations = [tuple(self._applying(job)) for batch in batches for job in batch]
        jobs: dict[Path, Job] = {}
        for job, label in zip(combinations, sweep.labels(combinations), strict=True):
            composed = self.compose(job)
            new = Job(label, job, composed.folder, *_checked(composed))
            if (there := jobs.setdefault(new.folder, new)).identity != new.identity:
                raise UserError(f"{there.label} and {label} would share the folder {new.folder}: "
                                "hydra.sweep.subdir must tell them apart")  # fmt: skip
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
                lost = f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[-1].strip()}"
                if attempt == _RELAUNCHES:
                    command.complain(f"the launcher lost processes {attempt + 1} times, the last by {lost}")
                    return
                print(f"the launcher lost a process ({lost}): going on with what is not completed", flush=True)
                sweep.settle(jobs)
                jobs = sweep.to_run(jobs, self.rerun_failed and attempt == 0)
                continue
            for job, one in zip(jobs, returned, strict=True):
                if error_text := one.return_value:
                    errors[job.folder] = error_text
            return

    def _search(self, overrides: list[Override]) -> None:
        from cvlib.sweeps import search, trials

        if not self.config.hydra.launcher._target_.endswith("BasicLauncher"):
            raise UserError("a search runs its own workers: hydra.sweeper.workers=2, and the same command on further "
                            "machines, instead of hydra/launcher=…")  # fmt: skip
        fixed = tuple(str(one.input_line) for one in overrides if not one.is_sweep_override())
        space = {one.get_key_element(): _choice(one) for one in overrides if one.is_sweep_override()}
        for option, value in {"trials": self.trials, "workers": self.search_options["workers"]}.items():
            if not isinstance(value, int) or value < 1:
                raise UserError(f"hydra.sweeper.{option}={value} can't be: it must be a whole number from 1 on")
        if not space:
            raise UserError("hydra.sweeper.trials asks for a search, but no override leaves a choice")
        self._refuse_hopeless(fixed, space)

        def compose(job: Sequence[str]) -> search.Prepared:
            composed = self.compose(job)
            return search.Prepared(
                _task(composed.config), composed.folder, command.provenance(_task(composed.config), composed.hydra)
            )

        shared: Any = self.compose(fixed).config  # untyped: without the choices it need not be a config that can be
        asked = trials.Search(self.folder, space, fixed, config.monitor(shared), trials=self.trials or 0,
                               **self.search_options)  # fmt: skip
        search.run(asked, compose)

    def _refuse_hopeless(self, fixed: Sequence[str], space: dict[str, Any]) -> None:
        """Raise `UserError` where every example of the space is a mistake: no trial could do better."""
        ends = [one if isinstance(one, tuple) else (one.low, one.high) for one in space.values()]
        mistake = None
        for number, values in enumerate(product(*ends)):
            example = [f"{key}={value}" for key, value in zip(space, values, strict=True)]
            found = None if number == _EXAMPLES else _checked(self.compose([*fixed, *example]))[0]
            if found is None:  # one that can be, or so many that the others can't be known
                return
            mistake = mistake or found
        raise UserError(f"{mistake}; so it is with every choice of this search")


def _choice(override: Override) -> Any:
    """Hydra's sweep as Optuna takes it: a range or choices."""
    from cvlib.sweeps.trials import Range

    value: Any = override.value()
    if override.is_interval_sweep():
        if value.start >= value.end or ("log" in value.tags and value.start <= 0):
            above = " and above 0" if "log" in value.tags else ""
            raise UserError(f"{override.input_line}: an interval goes from the lower to the higher value{above}")
        return Range(value.start, value.end, log="log" in value.tags, whole=isinstance(value.start, int))
    choices: list[Any] = list(override.sweep_iterator())
    if override.is_range_sweep() and len(choices) > 1:
        whole = all(isinstance(choice, int) for choice in choices)
        return Range(choices[0], choices[-1], whole=whole, step=value.step)
    return tuple(override.sweep_string_iterator())


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


def _checked(composed: Composed) -> tuple[str | None, str | None]:
    """Why the job's config can't be one, if it can't, and its identity, if it can."""
    try:
        built = checks.from_composed(_task(composed.config))
        sources.check(built)
        return None, config.identity(built)
    except UserError as error:
        return str(error), None


def _task(composed: DictConfig) -> DictConfig:
    """The config without Hydra's own part, as a job gets it."""
    return OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])


def _launcher(hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> Launcher:
    target = str(config.hydra.launcher._target_)
    for word, extra in command.LAUNCHER_EXTRAS.items():
        if f"hydra_{word}_launcher" in target and target not in Plugins.instance().class_name_to_class:
            raise UserError(command.not_installed(config.hydra.runtime.choices["hydra/launcher"], extra))
    if "submitit" in target:  # its jobs start elsewhere, by an interpreter that knows nothing of run.py's folder
        here, known = str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([here, *([known] if known else [])])
    launcher: Launcher = Plugins.instance().instantiate_launcher(
        hydra_context=hydra_context, task_function=task_function, config=config
    )
    return launcher


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
