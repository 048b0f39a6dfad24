"""Generated pages of the documentation site, as a hook of MkDocs: nothing on them is typed by hand.

The overrides come from the schema, the backbones and the heads; their sentences from the comments beside the fields,
there or in `conf/`. The commands come from the parsers. The table of networks is written by `models.py` in this folder.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cvlib.config import schema
from cvlib.config.fields import Options
from cvlib.models import backbones, heads

ROOT = Path(__file__).parents[2]
_COMMENT = re.compile(r"^\s*(?:-\s*)?(\w+):.*?\s#\s(.*)$")  # `key: value  # sentence` in YAML
_ABOUT_OVERRIDES = (
    "A key is set on the command line, such as `python run.py data.batch_size=16`. A key that the chosen model, mode, "
    "optimizer or schedule doesn't use is refused."
)
_ABOUT_MODELS = (
    "The numbers are those of `cvlib inspect OVERRIDES data.image_size=224 data.channels=3`, for 10 classes. One "
    "multiply–add is two floating-point operations (FLOPs). The receptive field is that of the last feature map, in "
    "pixels; it can be larger than the image. Weights of Keras are downloaded when a run first needs them. A weights "
    "file of Keras can be one of your own runs: see [Weights files](../weights.md). A base for all tasks is also the "
    "backbone of `model=yolo` or the encoder of `model=segmenter`."
)
_GROUPS: dict[str, tuple[tuple[str, type[Options]], ...]] = {
    "data": (("data", schema.DataConfig),),
    "mode": tuple((f"mode={name}", kind) for name, kind in schema.MODES.items()),
    "augment": (("augment", schema.AugmentConfig),),
    "optimizer": tuple((f"optimizer={name}", kind) for name, kind in schema.OPTIMIZERS.items()),
    "schedule": tuple((f"schedule={name}", kind) for name, kind in schema.SCHEDULES.items()),
    "trainer": (("trainer", schema.TrainerConfig),),
}


@dataclasses.dataclass(frozen=True)
class Key:
    """One override."""

    name: str  # such as data.path
    kind: str  # its type
    default: str
    bounds: str
    sentence: str
    users: str  # who uses it


def overrides() -> list[Key]:
    """Return every override inside the groups, in order."""
    found: dict[str, Key] = {}
    for group, kinds in _GROUPS.items():
        for user, kind in kinds:
            _add(found, group, kind, user)
    models = [("every model", schema.Suited)]
    models += [(f"base {name}", backbones.get(name).options) for name in backbones.names()]
    models += [(f"head {name}", heads.get(name).options) for name in heads.names()]
    for user, kind in models:
        _add(found, "model", kind, user)
    return list(found.values())


def _add(found: dict[str, Key], group: str, kind: type[Options], user: str) -> None:
    sentences = source_sentences(kind) | (yaml_sentences(group) if group != "model" else {})
    for item in dataclasses.fields(kind):
        if item.name == "name":
            continue
        name = f"{group}.{item.name}"
        if name in found:
            earlier = found[name]
            sentence = earlier.sentence or sentences.get(item.name, "")
            found[name] = dataclasses.replace(earlier, users=f"{earlier.users}, {user}", sentence=sentence)
            continue
        found[name] = Key(name, _type(item.type), _default(item), _bounds(item.metadata),
                          sentences.get(item.name, ""), user)  # fmt: skip


def _type(kind: Any) -> str:
    text = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    return text.replace(" | None", "").replace("Any", "any")


def _default(item: dataclasses.Field[Any]) -> str:
    value = item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default
    return "" if value is dataclasses.MISSING else yaml.safe_dump(value, default_flow_style=True).split("\n")[0]


def _bounds(metadata: Any) -> str:
    if metadata.get("choices"):
        return " ".join(f"`{'null' if one is None else one}`" for one in metadata["choices"])
    low, high = metadata.get("low"), metadata.get("high")
    if low is None or high is None:
        return f"from {low:g}" if low is not None else f"to {high:g}" if high is not None else ""
    return f"{low:g} to {high:g}"


def source_sentences(kind: type[Options]) -> dict[str, str]:
    """Return the comment beside or above each field of a dataclass and its bases, by field."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if dataclasses.is_dataclass(one) and one is not Options:
            found |= _sentences_in(inspect.getsource(one))
    return found


def _sentences_in(source: str) -> dict[str, str]:
    found, above, name = {}, [], None
    for line in source.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            above.append(stripped.lstrip("# "))
            continue
        if field := re.match(r"    (\w+): ", line):
            name = field[1]
            if above:
                found[name] = " ".join(above)
        if name and "  # " in line:
            found.setdefault(name, line.split("  # ", 1)[1])
        above = []
    return found


def yaml_sentences(group: str) -> dict[str, str]:
    """Return the comment beside each key in the files of a group of `conf/`, the first one found."""
    found: dict[str, str] = {}
    files = [ROOT / f"conf/common/{group}.yaml", *sorted((ROOT / "conf" / group).glob("*.yaml"))]
    if group == "data":  # its other files have sentences about one collection
        files = [files[0], ROOT / "conf/data/folder.yaml"]
    for path in filter(Path.is_file, files):
        for line in path.read_text(encoding="utf-8").splitlines():
            if match := _COMMENT.match(line):
                found.setdefault(match[1], match[2])
    return found


def overrides_page() -> str:
    """Return the page of all overrides."""
    lines = ["# Overrides", "", _ABOUT_OVERRIDES, ""]
    for group in [*_GROUPS, "model"]:
        lines += [
            f"## {group}",
            "",
            "| key | type | default | allowed | meaning | used by |",
            "|---|---|---|---|---|---|",
        ]
        own = [key for key in overrides() if key.name.startswith(f"{group}.")]
        lines += [f"| `{key.name}` | {_cell(key.kind)} | {_cell(key.default)} | {_cell(key.bounds)} | "
                  f"{_cell(key.sentence)} | {_cell(key.users)} |" for key in own]  # fmt: skip
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def commands_page() -> str:
    """Return the page of all commands, with the text of their --help."""
    from cvlib.cli import _parser

    lines = ["# Commands", ""]
    for name, parser in _subparsers(_parser()):
        if name == "train":
            help_text = (
                "See [Overrides](overrides.md). `cvlib train OVERRIDE…` is the same as `python run.py OVERRIDE…`."
            )
        else:
            help_text = f"```text\n{parser.format_help().strip()}\n```"
        lines += [f"## cvlib {name}", "", help_text, ""]
    return "\n".join(lines)


def _subparsers(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def models_page() -> str:
    """Return the page of the networks: every size with its cost, then the bases with what they can serve."""
    table = (ROOT / "docs/reference/models_table.md").read_text(encoding="utf-8")
    lines = ["# Models", "", _ABOUT_MODELS, "", table, "## Bases", "",
             "| base | description | feature levels | channels | weights |", "|---|---|---|---|---|"]  # fmt: skip
    for name in backbones.names():
        backbone = backbones.get(name)
        description = (inspect.getdoc(inspect.getmodule(type(backbone))) or "").split("\n")[0]
        sources = ", ".join(source.name for source in backbone.sources) or "–"
        levels = "yes: classifiers, detectors, segmenters" if backbone.has_feature_levels else "no: classifiers"
        lines.append(f"| `{name}` | {_cell(description)} | {levels} | {backbone.channels or 'any'} | {sources} |")
    return "\n".join([*lines, ""])


PAGES = {
    "reference/overrides.md": overrides_page,
    "reference/commands.md": commands_page,
    "reference/models.md": models_page,
}


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to the site."""
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        files.append(File.generated(config, name, content=page()))
    return files
