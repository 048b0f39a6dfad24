"""Where Hydra finds answers beside conf/: a user's own conf/, and the studies; decided in `cvlib.cli.answers`."""

from __future__ import annotations

from pathlib import Path

from hydra._internal.core_plugins import file_config_source
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin

from cvlib.config import answers


class CvlibSearchPath(SearchPathPlugin):
    """Adds both to our own commands' search path, and leaves other Hydra applications alone."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Put the user's answers before ours, and the studies behind."""
        if not any(_is_ours(str(element.path)) for element in search_path.get_path()):
            return
        if own := answers.own():
            search_path.prepend("user", f"{Answers.scheme()}://{own}", "main")
        if answers.EXPERIMENTS.is_dir():
            search_path.append("studies", f"{Studies.scheme()}://{answers.EXPERIMENTS}")


class Answers(file_config_source.FileConfigSource):
    """A folder of groups, without a config.yaml of its own: that would replace ours."""

    @staticmethod
    def scheme() -> str:
        """The name of this kind of source."""
        return "answers"

    def is_config(self, config_path: str) -> bool:
        """Whether it is an answer of a group."""
        return "/" in config_path and super().is_config(config_path)


class Studies(file_config_source.FileConfigSource):
    """The files of one folder as the answers of the group `experiment`."""

    @staticmethod
    def scheme() -> str:
        """The name of this kind of source."""
        return "studies"

    def is_group(self, config_path: str) -> bool:
        """Whether it is the one group."""
        return config_path in ("", answers.STUDY)

    def is_config(self, config_path: str) -> bool:
        """Whether it is a study."""
        group, _, name = config_path.partition("/")
        return group == answers.STUDY and super().is_config(name)

    def load_config(self, config_path: str) -> ConfigResult:
        """The content of a study's file."""
        return super().load_config(config_path.partition("/")[2])

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The group's name, or the studies'."""
        if not config_path:
            return [] if results_filter == ObjectType.CONFIG else [answers.STUDY]
        return [] if results_filter == ObjectType.GROUP else sorted(one.stem for one in Path(self.path).glob("*.yaml"))


def _is_ours(path: str) -> bool:
    return Path(path.removeprefix("file://")) == answers.CONF
