"""`cvlib train [OVERRIDE…]`: train one network on one dataset in one regime, or run a sweep, with Hydra."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cvlib.runtime import stopping
from cvlib.runtime.errors import COMPLETED, FAILED, INTERRUPTED, RunFailed, UserError, complain, interrupt
from cvlib.runtime.live import is_live, print_statuses
from cvlib.runtime.output import lasting

_outcomes: list[Any] = []  # of a single run, not of a sweep's jobs


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand; Hydra parses all arguments after it, including -m, --help and --cfg job."""
    parser = commands.add_parser(
        "train", help="start a run, or a sweep with -m, like `python run.py`", add_help=False, prefix_chars="\0"
    )
    parser.add_argument("arguments", nargs="*")
    parser.set_defaults(command=lambda chosen: train(chosen.arguments))


def train(arguments: Sequence[str]) -> int:
    """Run the job or the sweep; return the exit code (see docs/reference/run_folder.md)."""
    with lasting():
        return _train(arguments)


def _train(arguments: Sequence[str]) -> int:
    from cvlib.cli import messages

    before = stopping.handle(interrupt)
    _outcomes.clear()
    try:
        return _run_with_hydra(list(arguments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except UserError as error:
        return complain(str(error))
    except RunFailed as error:
        complain(str(error))
        return FAILED
    except (FileExistsError, NotADirectoryError) as error:  # from Hydra, which creates the folder first
        return complain(f"{error.filename} is a file, not a folder: choose another hydra.run.dir")
    except Exception as error:
        if messages.is_hydra_error(error):
            return complain(messages.explain(error, list(arguments)))
        if not isinstance(error, OSError):
            raise
        # Hydra couldn't create the folder of the run or of the sweep. An `OSError` inside a run is the run's outcome.
        return complain(f"{error.filename or 'the run folder'} can't be written: {error.strerror}")
    finally:
        stopping.restore(before)


def _run_with_hydra(arguments: list[str]) -> int:
    """Do what `hydra.main` does, with these arguments instead of the process's own."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # makes Hydra raise its errors, so that we can shorten them
    from hydra import version
    from hydra._internal.utils import _run_hydra, get_args_parser

    from cvlib.cli import loader
    from cvlib.cli.quoting import quoted
    from cvlib.config.answers import CONF
    from cvlib.sweeps import one_job

    version.setbase("1.3")
    loader.install()
    parser = get_args_parser()
    try:
        _run_hydra(parser.parse_args(quoted(arguments)), parser, job, str(CONF), "config")
    except SystemExit as ended:  # --help and the like
        return ended.code if isinstance(ended.code, int) else 0
    return one_job.conclude(_outcomes)


def job(composed: Any) -> str | None:
    """Run one config, alone or as a job of a sweep. An error becomes the run's outcome, so that the sweep continues."""
    with lasting():  # again, because a launcher may have started this process
        return _job(composed)


def _job(composed: Any) -> str | None:
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from cvlib.sweeps import jobs as sweep
    from cvlib.sweeps import launchers, one_job

    hydra_config = HydraConfig.get()
    if hydra_config.job.chdir:  # Hydra has changed to the run's folder, where relative paths would be wrong
        os.chdir(hydra_config.runtime.cwd)
    folder = Path(hydra_config.runtime.output_dir)
    provenance = one_job.provenance(composed, hydra_config)
    if OmegaConf.is_missing(hydra_config.job, "num"):
        _outcomes.append(one_job.run_job(composed, folder, provenance))
        if _outcomes[-1].code == COMPLETED and _outcomes[-1].summary:  # else another process has it
            print("\n".join(_next_commands(folder)))
        return None
    place = Path(hydra_config.sweep.dir)
    if is_live(sys.stdout):
        print_statuses(["", *sweep.states(place, folder)])
    print("\n" + sweep.progress(place, folder), flush=True)
    run = one_job.run_isolated if launchers.shares_process(hydra_config.launcher._target_) else one_job.run_job
    outcome = run(composed, folder, provenance)
    if outcome.error:
        complain(f"{sweep.title(place, folder)}: {outcome.error}")
    return outcome.error


def _next_commands(folder: Path) -> list[str]:
    """Return the commands that a user usually runs after a run, with its paths."""
    with contextlib.suppress(ValueError):  # the run is outside the working folder
        folder = folder.relative_to(Path.cwd())
    run, above = shlex.quote(str(folder)), shlex.quote(str(folder.parent))
    return ["next:", f"  tensorboard --logdir {run}", f"  cvlib compare {above}", f"  cvlib predict {run} IMAGES"]
