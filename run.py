"""Train one network on one dataset in one regime: `python run.py model=resnet mode=finetune`."""

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises its errors, for us to say in one line

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from cvlib import command
from cvlib.errors import UserError

CONF = Path(__file__).resolve().parent / "conf"
outcomes: list[command.Outcome] = []  # of the jobs that ran in this process

OmegaConf.register_new_resolver("first", lambda *values: next(v for v in values if v is not None))
OmegaConf.register_new_resolver("folder_name", command.folder_name)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def job(composed: DictConfig) -> dict[str, Any]:
    """One run; a user's mistake or a failure becomes an outcome, so that a sweep goes on to its next job."""
    hydra_config = HydraConfig.get()
    overrides = OmegaConf.to_container(hydra_config.overrides.task)
    provenance = {
        ".hydra/config.yaml": OmegaConf.to_yaml(composed),
        ".hydra/hydra.yaml": OmegaConf.to_yaml(hydra_config),
        ".hydra/overrides.yaml": OmegaConf.to_yaml(OmegaConf.create(overrides)),
    }
    outcome = command.run_job(composed, Path(hydra_config.runtime.output_dir), provenance)
    outcomes.append(outcome)
    return outcome.summary


def main() -> int:
    """Run the job or the sweep; return the exit code of the contract."""
    try:
        job()
    except KeyboardInterrupt:
        return command.INTERRUPTED
    except UserError as error:
        return command.complain(str(error))
    except Exception as error:
        if not command.is_hydra_error(error):
            raise
        return command.complain(command.explain(error, CONF, sys.argv[1:]))
    multirun = any(argument in ("-m", "--multirun") for argument in sys.argv[1:])
    return command.conclude(outcomes, multirun)


if __name__ == "__main__":
    sys.exit(main())
