"""How Hydra composes our configs: one place for single runs, sweeps, searches, `--cfg job` and the Python interface.

Hydra answers `model=resnet model.kernel=5` with "Could not override" alone. Our loader lets it accept every key inside
model, mode, optimizer and schedule, as if the override read `++model.kernel=5`. It then refuses what the chosen answers
don't use, in words. Records, folder names and labels of jobs show overrides as they were written.
"""

from __future__ import annotations

import sys
from typing import Any

import hydra._internal.hydra as hydra_internal
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from cvlib.cli import used_keys
from cvlib.config import unused_keys


class Loader(ConfigLoaderImpl):
    """Hydra's loader of configs, with our own answer to keys that the chosen model or mode doesn't use."""

    left_out: dict[str, str] = {}  # noqa: RUF012  of the config composed last: keys that files set → why they go

    def load_configuration(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:  # fmt: skip
        """Compose; raises `UnusedKeys` for overrides that the config of a run doesn't use."""
        composed = super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        if run_mode == RunMode.RUN and all(group in composed for group in unused_keys.GROUPS):
            self.left_out = {key: _note(key, composed) for key in _leave_out(composed, overrides)}
            if not self._of_sweep:
                for note in self.left_out.values():
                    print(note, file=sys.stderr)
        return composed

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Compose one job of a sweep; what it leaves out, the sweep says once for all jobs."""
        self._of_sweep = True
        try:
            return super().load_sweep_config(master_config, sweep_overrides)
        finally:
            self._of_sweep = False

    _of_sweep = False

    def _parse_overrides_and_create_caching_repo(self, config_name: str | None, overrides: list[str]) -> Any:
        parsed, repository = super()._parse_overrides_and_create_caching_repo(config_name, overrides)
        for override in parsed:
            if override.type == OverrideType.CHANGE and unused_keys.is_inside(override.key_or_group):
                override.type = OverrideType.FORCE_ADD
        return parsed, repository


def install() -> None:
    """Let `hydra.main` and `hydra.compose` use our loader. Hydra has no hook for it: it makes its own by this name."""
    hydra_internal.ConfigLoaderImpl = Loader  # type: ignore[misc]


def _leave_out(composed: DictConfig, overrides: list[str]) -> list[str]:
    """Take out of the config what files set and the chosen answers don't use.

    Returns the keys that are worth a word: not those that an answer's own file lists for another base of its.
    """
    parsed = OverridesParser.create().parse_overrides(overrides)
    given = {one.key_or_group: _value(one) for one in parsed if _gives(one)}
    task = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    try:
        plain: Any = OmegaConf.to_container(task, resolve=True)
    except OmegaConfBaseException:  # a value that can't be resolved, which is said when the config is checked
        return []
    listed, foreign = used_keys.find_unused(plain, given)
    for key in [*listed, *foreign]:
        group, _, name = key.partition(".")
        with open_dict(composed):
            del composed[group][name]
    return foreign


def _gives(override: Override) -> bool:
    return unused_keys.is_inside(override.key_or_group) and not override.is_delete()


def _value(override: Override) -> str:
    return str(override.input_line).partition("=")[2]


def _note(key: str, composed: DictConfig) -> str:
    group, _, name = key.partition(".")
    using = [one if "=" in one else f"{group}={one}" for one in used_keys.owners(group, name)]
    return unused_keys.note(key, using, [unused_keys.answer(group, composed[group])])
