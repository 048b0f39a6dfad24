"""The Hydra sweeper: run every combination of a sweep, or search among them. `hydra_plugins` registers it."""

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

from cvlib.config.quotes import in_quotes
from cvlib.config.unused_keys import UnusedKeys
from cvlib.runtime.errors import UserError, complain
from cvlib.sweeps import composed as composing
from cvlib.sweeps import jobs as sweep
from cvlib.sweeps import launchers, one_job, space
from cvlib.sweeps.composed import Composed
from cvlib.sweeps.jobs import Job

_RELAUNCHES = 3


class ResumableSweeper(Sweeper):
    """Run every combination once with any launcher, or search among them; skip completed jobs and resume others."""

    hydra_context: HydraContext
    config: DictConfig
    launcher: Launcher

    def __init__(self, params: dict[str, str] | None, rerun_failed: bool, trials: int | None, **search: Any):
        self.params = params
        self.rerun_failed = rerun_failed
        self.trials = trials
        self.search_options = search

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's objects and create the launcher."""
        # An absolute path, because jobs may run on another machine or from another folder.
        with read_write(config), open_dict(config):
            config.hydra.sweep.dir = str(Path(config.hydra.sweep.dir).resolve())
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={in_quotes(config.hydra.sweep.dir)}")
        self.hydra_context, self.config = hydra_context, config
        plugins = Plugins.instance()
        launchers.check_installed(config, plugins.class_name_to_class)
        launchers.refuse_processes(config)
        self.launcher = plugins.instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the sweep or the search; raises `RunFailed` if a job is not completed at the end."""
        overrides = self.overrides(arguments)
        sweeps = [override for override in overrides if override.is_discrete_sweep()]
        empty = [override.input_line for override in sweeps if not list(override.sweep_iterator())]
        if empty:
            raise UserError(f"{empty[0]}: expected at least one value to sweep over")
        if self.trials is None:
            self._run_all(overrides)
        else:
            self._search(overrides)

    @property
    def folder(self) -> Path:
        """The sweep's folder."""
        return Path(self.config.hydra.sweep.dir)

    def overrides(self, arguments: list[str]) -> list[Override]:
        """Return the parsed overrides of the study or space; the command line adds to them and replaces them."""
        given = [f"{key}={value}" for key, value in (self.params or {}).items()] + arguments
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        return list({override.get_key_element(): override for override in parser.parse_overrides(given)}.values())

    def compose(self, overrides: Sequence[str]) -> Composed:
        """Return the config of one job, without the overrides that it doesn't use; may raise Hydra's errors."""
        loader, refusals = self.hydra_context.config_loader, {}
        try:
            composed = loader.load_sweep_config(self.config, list(overrides))
        except UnusedKeys as unused:
            refusals = unused.refusals
            overrides = [override for override in overrides if composing.key_of(override) not in refusals]
            composed = loader.load_sweep_config(self.config, overrides)  # still rejects unknown keys in files
        with composing.current(composed):
            folder = self.folder / composed.hydra.sweep.subdir
            with read_write(composed.hydra.runtime), open_dict(composed.hydra.runtime):
                composed.hydra.runtime.output_dir = str(folder)
            left_out = getattr(loader, "left_out", {})
            return Composed(composed, folder, composed.hydra, tuple(overrides), refusals, left_out)

    def _run_all(self, overrides: list[Override]) -> None:
        jobs = self._jobs(overrides)
        if all(job.mistake for job in jobs):
            raise UserError(f"{jobs[0].label}: {jobs[0].mistake}")
        running = sweep.to_run(jobs, self.rerun_failed)
        print(sweep.announce(jobs, running, self.rerun_failed), flush=True)
        for job in jobs:
            if job.mistake:
                complain(f"{job.label}: {job.mistake}")
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
                raise UserError(f"{override.input_line}: an interval needs a search; set the number of trials, such as "
                                "hydra.sweeper.trials=20")  # fmt: skip
        batches = BasicSweeper.split_arguments(overrides, max_batch_size=None)
        combinations = [self.compose(job) for batch in batches for job in batch]
        composing.say_left_out(combinations)
        jobs: dict[Path, Job] = {}
        labels = sweep.labels([job.overrides for job in combinations])
        for composed, label in zip(combinations, labels, strict=True):
            new = Job(label, composed.overrides, composed.folder, *composed.checked())
            if (other := jobs.setdefault(new.folder, new)).identity != new.identity:
                raise UserError(f"{other.label} and {label} would share the folder {new.folder}: "
                                "hydra.sweep.subdir must give each job its own folder")  # fmt: skip
        return list(jobs.values())

    def _launch(self, jobs: list[Job], errors: dict[Path, str]) -> None:
        """Launch the jobs, and relaunch those that were lost because their process was killed."""
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
                    complain(f"the launcher lost processes {attempt + 1} times, most recently with {lost}")
                    return
                print(f"the launcher lost a process ({lost}): continuing with unfinished jobs", flush=True)
                sweep.settle(jobs)
                jobs = sweep.to_run(jobs, self.rerun_failed and attempt == 0)
                continue
            for job, result in zip(jobs, returned, strict=True):
                if error_text := result.return_value:
                    errors[job.folder] = error_text
            return

    def _search(self, overrides: list[Override]) -> None:
        from cvlib import tasks
        from cvlib.sweeps import search, trials

        if not self.config.hydra.launcher._target_.endswith("BasicLauncher"):
            raise UserError("a search doesn't use hydra/launcher=…: set hydra.sweeper.workers=2, or start the same "
                            "command on several machines")  # fmt: skip
        sweeps = [override for override in overrides if override.is_sweep_override()]
        fixed = tuple(str(override.input_line) for override in overrides if not override.is_sweep_override())
        choices = {override.get_key_element(): space.choice(override) for override in sweeps}
        for option, value in {"trials": self.trials, "workers": self.search_options["workers"]}.items():
            if not isinstance(value, int) or value < 1:
                raise UserError(f"invalid hydra.sweeper.{option}={value}: expected a whole number, 1 or more")
        if not choices:
            raise UserError("hydra.sweeper.trials starts a search, but no override has several values or an interval")
        self._refuse_unused(fixed, choices)
        self._refuse_invalid(fixed, choices)

        def compose(job: Sequence[str]) -> search.Prepared:
            composed = self.compose(job)
            provenance = one_job.provenance(composed.task, composed.hydra)
            return search.Prepared(composed.task, composed.folder, provenance, composed.overrides)

        shared: Any = self.compose(fixed).config  # untyped: it may be invalid without the choices
        monitor = shared.trainer.monitor or tasks.of(shared.model.task).monitors()[0]
        settings = trials.Search(self.folder, choices, fixed, monitor, trials=self.trials or 0,
                                 **self.search_options)  # fmt: skip
        search.run(settings, compose)

    def _refuse_unused(self, fixed: Sequence[str], choices: dict[str, Any]) -> None:
        """Raise `UserError` for an override that no trial uses; print the overrides that only some trials use."""
        examples, complete = space.kinds(choices)
        composing.say_left_out([self.compose([*fixed, *example]) for example in examples], complete)

    def _refuse_invalid(self, fixed: Sequence[str], choices: dict[str, Any]) -> None:
        """Raise `UserError` if every corner of the space is invalid, because every trial would then fail."""
        mistake = None
        examples = list(islice(space.corners(choices), space.MOST_EXAMPLES + 1))
        for number, example in enumerate(examples):
            found = None if number == space.MOST_EXAMPLES else self.compose([*fixed, *example]).checked()[0]
            if found is None:  # a valid example, or too many examples to check all of them
                return
            mistake = mistake or found
        raise UserError(f"{mistake}; this applies to every combination of this search")
