"""Add the user's own conf/ and the studies to Hydra's search path; `cvlib.config.answers` defines both folders."""

from __future__ import annotations

from pathlib import Path

from hydra._internal.core_plugins import file_config_source
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin

from cvlib.config import answers


class CvlibSearchPath(SearchPathPlugin):
    """Add both folders to the search path of cvlib's commands. Other Hydra applications are not affected."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the user's conf/ before ours, and the studies after it."""
        if not any(_is_ours(str(element.path)) for element in search_path.get_path()):
            return
        if own := answers.own():
            search_path.prepend("user", f"{UserConfigs.scheme()}://{own}", "main")
        if answers.EXPERIMENTS.is_dir():
            search_path.append("studies", f"{Studies.scheme()}://{answers.EXPERIMENTS}")


class UserConfigs(file_config_source.FileConfigSource):
    """A folder of config groups. A config.yaml in it is ignored, because it would replace ours."""

    @staticmethod
    def scheme() -> str:
        """Return the scheme of this config source."""
        return "user-configs"

    def is_config(self, config_path: str) -> bool:
        """Return whether the path is a config inside a group."""
        return "/" in config_path and super().is_config(config_path)


class Studies(file_config_source.FileConfigSource):
    """The files of one folder, as configs of the group `experiment`."""

    @staticmethod
    def scheme() -> str:
        """Return the scheme of this config source."""
        return "studies"

    def is_group(self, config_path: str) -> bool:
        """Return whether the path is the group `experiment` or the root."""
        return config_path in ("", answers.STUDY)

    def is_config(self, config_path: str) -> bool:
        """Return whether the path is a study."""
        group, _, name = config_path.partition("/")
        return group == answers.STUDY and super().is_config(name)

    def load_config(self, config_path: str) -> ConfigResult:
        """Load the file of a study."""
        return super().load_config(config_path.partition("/")[2])

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the name of the group, or the names of the studies."""
        if not config_path:
            return [] if results_filter == ObjectType.CONFIG else [answers.STUDY]
        return (
            [] if results_filter == ObjectType.GROUP else sorted(path.stem for path in Path(self.path).glob("*.yaml"))
        )


def _is_ours(path: str) -> bool:
    return Path(path.removeprefix("file://")) == answers.CONF
