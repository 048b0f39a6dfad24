"""Train one network on one dataset in one regime: `python run.py model=resnet mode=finetune`."""

import os
import signal
import sys
from pathlib import Path

os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises its errors, for us to say in one line

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from cvlib.cli import jobs as command
from cvlib.runtime.errors import INTERRUPTED, RunFailed, UserError
from cvlib.sweeps import jobs as sweep

CONF = Path(__file__).resolve().parent / "conf"
outcomes: list[command.Outcome] = []  # of the single run


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def job(composed: DictConfig) -> str | None:
    """One run, alone or of a sweep; a mistake or a failure is an outcome, so that a sweep goes on to its next job."""
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    provenance = command.provenance(composed, hydra_config)
    if OmegaConf.is_missing(hydra_config.job, "num"):
        outcomes.append(command.run_job(composed, folder, provenance))
        return None
    print("\n" + sweep.progress(Path(hydra_config.sweep.dir), folder), flush=True)
    run = command.run_isolated if command.shares_process(hydra_config.launcher._target_) else command.run_job
    return run(composed, folder, provenance).error


def main() -> int:
    """Run the job or the sweep; return the exit code of the contract."""
    signal.signal(signal.SIGTERM, command.interrupt)  # how clusters preempt
    try:
        job()
    except KeyboardInterrupt:
        return INTERRUPTED
    except UserError as error:
        return command.complain(str(error))
    except RunFailed as error:
        command.complain(str(error))
        return command.FAILED
    except (FileExistsError, NotADirectoryError) as error:  # from Hydra, which makes the folder first
        return command.complain(f"{error.filename}: a file is where a folder would be; choose another hydra.run.dir")
    except Exception as error:
        if command.is_hydra_error(error):
            return command.complain(command.explain(error, CONF, sys.argv[1:]))
        if not isinstance(error, OSError):
            raise
        # From making that folder, or a sweep's; those of a run are its outcome.
        return command.complain(f"{error.filename or 'its folder'} can't be written: {error.strerror}")
    return command.conclude(outcomes)


if __name__ == "__main__":
    sys.exit(main())
