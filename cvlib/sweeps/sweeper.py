"""Our Hydra sweeper: every combination of a sweep, or a search among them; Hydra finds it through `hydra_plugins`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from cvlib.config.unused_keys import UnusedKeys
from cvlib.runtime.errors import UserError, complain
from cvlib.sweeps import composed as composing
from cvlib.sweeps import jobs as sweep
from cvlib.sweeps import launchers, one_job, space
from cvlib.sweeps.composed import Composed
from cvlib.sweeps.jobs import Job

_RELAUNCHES = 3


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
        """Take what Hydra gives, and make the launcher."""
        # Absolute, for jobs may run on another machine or from another folder.
        with read_write(config), open_dict(config):
            config.hydra.sweep.dir = str(Path(config.hydra.sweep.dir).resolve())
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={_quoted(config.hydra.sweep.dir)}")
        self.hydra_context, self.config = hydra_context, config
        plugins = Plugins.instance()
        launchers.check_installed(config, plugins.class_name_to_class)
        self.launcher = plugins.instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run what is to run; raises `RunFailed` where a job is not completed at the end."""
        overrides = self.overrides(arguments)
        empty = [one.input_line for one in overrides if one.is_discrete_sweep() and not list(one.sweep_iterator())]
        if empty:
            raise UserError(f"{empty[0]}: no value is left to sweep over")
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
        """The config of one job, without the overrides that it doesn't use; Hydra's errors go up."""
        loader, refusals = self.hydra_context.config_loader, {}
        try:
            composed = loader.load_sweep_config(self.config, list(overrides))
        except UnusedKeys as unused:
            refusals = unused.refusals
            overrides = [one for one in overrides if composing.key_of(one) not in refusals]
            composed = loader.load_sweep_config(self.config, overrides)  # refuses what a file sets and nobody has
        with composing.current(composed):
            folder = self.folder / composed.hydra.sweep.subdir
            with read_write(composed.hydra.runtime), open_dict(composed.hydra.runtime):
                composed.hydra.runtime.output_dir = str(folder)
            left_out = getattr(loader, "left_out", {})
            return Composed(composed, folder, composed.hydra, tuple(overrides), refusals, left_out)

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
        combinations = [self.compose(job) for batch in batches for job in batch]
        composing.say_left_out(combinations)
        jobs: dict[Path, Job] = {}
        labels = sweep.labels([job.overrides for job in combinations])
        for composed, label in zip(combinations, labels, strict=True):
            new = Job(label, composed.overrides, composed.folder, *composed.checked())
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
                    complain(f"the launcher lost processes {attempt + 1} times, the last by {lost}")
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
        from cvlib import tasks
        from cvlib.sweeps import search, trials

        if not self.config.hydra.launcher._target_.endswith("BasicLauncher"):
            raise UserError("a search runs its own workers: hydra.sweeper.workers=2, and the same command on further "
                            "machines, instead of hydra/launcher=…")  # fmt: skip
        fixed = tuple(str(one.input_line) for one in overrides if not one.is_sweep_override())
        choices = {one.get_key_element(): space.choice(one) for one in overrides if one.is_sweep_override()}
        for option, value in {"trials": self.trials, "workers": self.search_options["workers"]}.items():
            if not isinstance(value, int) or value < 1:
                raise UserError(f"hydra.sweeper.{option}={value} can't be: it must be a whole number from 1 on")
        if not choices:
            raise UserError("hydra.sweeper.trials asks for a search, but no override leaves a choice")
        self._refuse_unused(fixed, choices)
        self._refuse_hopeless(fixed, choices)

        def compose(job: Sequence[str]) -> search.Prepared:
            composed = self.compose(job)
            provenance = one_job.provenance(composed.task, composed.hydra)
            return search.Prepared(composed.task, composed.folder, provenance, composed.overrides)

        shared: Any = self.compose(fixed).config  # untyped: without the choices it need not be a valid config
        monitor = shared.trainer.monitor or tasks.of(shared.model.task).monitors()[0]
        asked = trials.Search(self.folder, choices, fixed, monitor, trials=self.trials or 0,
                               **self.search_options)  # fmt: skip
        search.run(asked, compose)

    def _refuse_unused(self, fixed: Sequence[str], choices: dict[str, Any]) -> None:
        """Raise `UserError` for an override that no trial can use; say what only some of them use."""
        examples, complete = space.kinds(choices)
        composing.say_left_out([self.compose([*fixed, *one]) for one in examples], complete)

    def _refuse_hopeless(self, fixed: Sequence[str], choices: dict[str, Any]) -> None:
        """Raise `UserError` where every example of the space is a mistake: no trial could do better."""
        mistake = None
        examples = list(islice(space.corners(choices), space.MOST_EXAMPLES + 1))
        for number, example in enumerate(examples):
            found = None if number == space.MOST_EXAMPLES else self.compose([*fixed, *example]).checked()[0]
            if found is None:  # one that can be, or so many that the others can't be known
                return
            mistake = mistake or found
        raise UserError(f"{mistake}; so it is with every choice of this search")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
