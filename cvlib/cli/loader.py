"""Composition of configs by Hydra, for single runs, sweeps, searches, `--cfg job` and the Python interface.

For `model=resnet model.kernel=5`, Hydra reports only "Could not override". Our loader accepts every key inside model,
mode, optimizer and schedule, as if the override were `++model.kernel=5`. It then rejects keys that the chosen config
files don't use, with a helpful message. Records, folder names and labels of jobs show overrides as they were written.
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
    """Hydra's config loader, with our own handling of keys that the chosen config files don't use."""

    left_out: dict[str, str] = {}  # noqa: RUF012  keys removed from the last composed config → reason

    def load_configuration(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:  # fmt: skip
        """Compose a config; raise `UnusedKeys` for overrides that a run doesn't use."""
        composed = super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        if run_mode == RunMode.RUN and all(group in composed for group in unused_keys.GROUPS):
            self.left_out = {key: _note(key, composed) for key in _leave_out(composed, overrides)}
            if not self._composing_sweep:
                for note in self.left_out.values():
                    print(note, file=sys.stderr)
        return composed

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Compose one job of a sweep; the sweep reports left-out keys once for all jobs."""
        self._composing_sweep = True
        try:
            return super().load_sweep_config(master_config, sweep_overrides)
        finally:
            self._composing_sweep = False

    _composing_sweep = False

    def _parse_overrides_and_create_caching_repo(self, config_name: str | None, overrides: list[str]) -> Any:
        parsed, repository = super()._parse_overrides_and_create_caching_repo(config_name, overrides)
        for override in parsed:
            if override.type == OverrideType.CHANGE and unused_keys.is_inside(override.key_or_group):
                override.type = OverrideType.FORCE_ADD
        return parsed, repository


def install() -> None:
    """Make `hydra.main` and `hydra.compose` use our loader. Hydra has no hook for this, so we replace its class."""
    hydra_internal.ConfigLoaderImpl = Loader  # type: ignore[misc]


def _leave_out(composed: DictConfig, overrides: list[str]) -> list[str]:
    """Remove the keys that a config file sets but that the chosen model, mode, optimizer and schedule don't use.

    Returns the keys to report. Keys that a model's own file lists for another of its bases are not reported.
    """
    parsed = OverridesParser.create().parse_overrides(overrides)
    given = {override.key_or_group: _value(override) for override in parsed if _sets_group_key(override)}
    task = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    try:
        plain: Any = OmegaConf.to_container(task, resolve=True)
    except OmegaConfBaseException:  # an unresolvable value; checking the config reports it later
        return []
    listed, foreign = used_keys.find_unused(plain, given)
    for key in [*listed, *foreign]:
        group, _, name = key.partition(".")
        with open_dict(composed):
            del composed[group][name]
    return foreign


def _sets_group_key(override: Override) -> bool:
    return unused_keys.is_inside(override.key_or_group) and not override.is_delete()


def _value(override: Override) -> str:
    return str(override.input_line).partition("=")[2]


def _note(key: str, composed: DictConfig) -> str:
    group, _, name = key.partition(".")
    using = [owner if "=" in owner else f"{group}={owner}" for owner in used_keys.owners(group, name)]
    return unused_keys.note(key, using, [unused_keys.answer(group, composed[group])])
