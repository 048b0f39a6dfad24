"""The composed configs of a sweep's jobs, and the keys that some jobs leave out because they don't use them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from cvlib.config import unused_keys
from cvlib.runtime.errors import UserError


class Composed(NamedTuple):
    """A job's config, ready to run, exactly as a single run would get it."""

    config: DictConfig
    folder: Path
    hydra: DictConfig
    overrides: tuple[str, ...]  # without those that the job doesn't use
    refusals: dict[str, str]  # overrides that the job doesn't use: key → the error message of a single run
    left_out: dict[str, str]  # keys that files such as a study set and the job doesn't use: key → message

    @property
    def task(self) -> DictConfig:
        """The config without Hydra's part, as a job gets it."""
        return OmegaConf.masked_copy(self.config, [str(key) for key in self.config if key != "hydra"])

    def checked(self) -> tuple[str | None, str | None]:
        """Return (error, None) for an invalid config, or (None, identity) for a valid one."""
        from cvlib import tasks  # imported here, because --help imports this module and shouldn't wait for the tasks
        from cvlib.runs.identity import identity_of
        from cvlib.transfer import sources

        try:
            built = tasks.config_of(self.task)
            sources.check(built)
            return None, identity_of(built)
        except UserError as error:
            return str(error), None


@contextmanager
def current(composed: DictConfig) -> Iterator[None]:
    """Resolve `${hydra:…}` from this job's config within the context."""
    holder = HydraConfig.instance()
    before = holder.cfg
    holder.set_config(composed)
    try:
        yield
    finally:
        holder.cfg = before


def key_of(override: str) -> str:
    """Return the key of an override as written, without a leading plus or tilde."""
    return override.partition("=")[0].lstrip("+~")


def say_left_out(jobs: Sequence[Composed], complete: bool = True) -> None:
    """Print a line for each key that some jobs don't use.

    If `jobs` holds all jobs (`complete`), raises `UserError` for an override that none of them uses.
    """
    for key in dict.fromkeys(key for job in jobs for key in job.refusals):
        refusals = list(dict.fromkeys(job.refusals[key] for job in jobs if key in job.refusals))
        if all(key in job.refusals for job in jobs):
            if complete:
                raise UserError(("no job uses this key: " if len(refusals) > 1 else "") + refusals[0])
        else:
            print(_note(key, jobs), flush=True)
    for key, message in {key: message for job in jobs for key, message in job.left_out.items()}.items():
        print(message if all(key in job.left_out for job in jobs) else _note(key, jobs), flush=True)


def _note(key: str, jobs: Sequence[Composed]) -> str:
    group = key.partition(".")[0]
    using, leaving = (
        [job.config[group] for job in jobs if (key in job.refusals or key in job.left_out) is unused]
        for unused in (False, True)
    )
    deciding = next((name for name in ("name", *using[0]) if _separates(name, using, leaving)), "name")
    named = None if deciding == "name" else deciding
    names = [
        list(dict.fromkeys(unused_keys.answer(group, answer, named) for answer in answers))
        for answers in (using, leaving)
    ]
    return unused_keys.note(key, *names)


def _separates(key: str, some: Sequence[DictConfig], others: Sequence[DictConfig]) -> bool:
    """Return whether the key's value is text in all of `some`, and none of these values occurs in `others`."""
    values, other_values = ({str(answer.get(key)) for answer in answers} for answers in (some, others))
    return all(isinstance(answer.get(key), str) for answer in some) and not values & other_values
