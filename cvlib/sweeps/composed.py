"""The composed configs of a sweep's jobs, and what some of them leave out because they don't use it."""

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
    """A job's config, ready to run: what a single run would have been given."""

    config: DictConfig
    folder: Path
    hydra: DictConfig
    overrides: tuple[str, ...]  # without those that the job doesn't use
    refusals: dict[str, str]  # overrides that it doesn't use, key → what a single run would say
    left_out: dict[str, str]  # the same of keys that files set, such as a study's

    @property
    def task(self) -> DictConfig:
        """The config without Hydra's own part, as a job gets it."""
        return OmegaConf.masked_copy(self.config, [str(key) for key in self.config if key != "hydra"])

    def checked(self) -> tuple[str | None, str | None]:
        """Why the config can't be one, if it can't, and its identity, if it can."""
        from cvlib import tasks  # late: --help, which finds our sweeper, need not wait for what tasks import
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
    """Let `${hydra:…}` read from this job's config."""
    holder = HydraConfig.instance()
    before = holder.cfg
    holder.set_config(composed)
    try:
        yield
    finally:
        holder.cfg = before


def key_of(override: str) -> str:
    """The key of an override as it is written, without a plus in front."""
    return override.partition("=")[0].lstrip("+~")


def say_left_out(jobs: Sequence[Composed], all_of_them: bool = True) -> None:
    """Print a line for each key that some jobs don't use.

    Raises `UserError` for an override that none of them uses, unless there are more jobs than these.
    """
    for key in dict.fromkeys(key for job in jobs for key in job.refusals):
        refusals = list(dict.fromkeys(job.refusals[key] for job in jobs if key in job.refusals))
        if all(key in job.refusals for job in jobs):
            if all_of_them:
                raise UserError(("no job uses it: " if len(refusals) > 1 else "") + refusals[0])
        else:
            print(_note(key, jobs), flush=True)
    for key, words in {key: words for job in jobs for key, words in job.left_out.items()}.items():
        print(words if all(key in job.left_out for job in jobs) else _note(key, jobs), flush=True)


def _note(key: str, jobs: Sequence[Composed]) -> str:
    group = key.partition(".")[0]
    using, leaving = (
        [job.config[group] for job in jobs if (key in job.refusals or key in job.left_out) is which]
        for which in (False, True)
    )
    deciding = next((one for one in ("name", *using[0]) if _tells_apart(one, using, leaving)), "name")
    named = None if deciding == "name" else deciding
    words = [list(dict.fromkeys(unused_keys.answer(group, one, named) for one in part)) for part in (using, leaving)]
    return unused_keys.note(key, *words)


def _tells_apart(key: str, some: Sequence[DictConfig], others: Sequence[DictConfig]) -> bool:
    """Whether no two of these have the same word for a key."""
    words, other_words = ({str(one.get(key)) for one in contents} for contents in (some, others))
    return all(isinstance(one.get(key), str) for one in some) and not words & other_words
