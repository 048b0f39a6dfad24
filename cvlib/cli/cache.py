"""`cvlib cache`: what is kept between runs to save computing, and `cvlib cache clear`, which takes it away."""

from __future__ import annotations

import argparse
import time
from typing import Any

from cvlib.runtime import store
from cvlib.runtime.errors import UserError

_KEY = 12  # characters that are shown; any unambiguous beginning is taken
_DAY = 86400
_KINDS = ("features", "images", "archives", "parquet")  # the folders below the root


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "cache", help="what is kept between runs: frozen features, resized images; `clear` takes it away",
        description="Lists the features of frozen bases and the resized images that runs have kept, and how much room "
        "they take. `cvlib cache clear` takes all of it away, or what KEY and --older-than name. Nothing else is "
        "touched; a run that needs what is gone computes it again.",
    )  # fmt: skip
    parser.add_argument("action", nargs="?", choices=("list", "clear"), default="list", metavar="list|clear")
    parser.add_argument("keys", nargs="*", metavar="KEY", help="clear: only these, as listed or their beginnings")
    parser.add_argument("--older-than", type=float, metavar="DAYS", help="clear: only what no run has used for so long")
    parser.add_argument("--output-root", default="outputs", metavar="DIR", help="as output_root of the runs (outputs)")
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """List, or clear; return 0."""
    if chosen.action == "list" and (chosen.keys or chosen.older_than is not None):
        raise UserError("a KEY or --older-than says what to clear: cvlib cache clear …")
    if chosen.older_than is not None and not chosen.older_than >= 0:
        raise UserError(f"--older-than {chosen.older_than:g}: give a number of days, 0 or more")
    root = store.root(chosen.output_root)
    entries = [entry for kind in _KINDS for entry in store.listing(root / kind)]
    if chosen.action == "clear":
        return _clear(entries, chosen.keys, chosen.older_than)
    if entries:
        from cvlib.viz.text_table import ruled

        print("\n".join(ruled([_row(entry) for entry in entries])) + "\n")
    from cvlib.config.schema import FeatureExtractor  # brings OmegaConf, which no other command needs

    total = _size(sum(entry.size for entry in entries))
    print(f"{len(entries)} kept, {total} in {root}; features may take {FeatureExtractor().cache_gb:g} GB "
          "(mode.cache_gb), beyond that the least recently used go")  # fmt: skip
    return 0


def _row(entry: store.Entry) -> dict[str, str]:
    return {"key": entry.path.name[:_KEY], "what": entry.about, "size": _size(entry.size),
            "last used": _ago(entry.used)}  # fmt: skip


def _clear(entries: list[store.Entry], keys: list[str], days: float | None) -> int:
    chosen = {entry.path: entry for key in keys for entry in [_find(entries, key)]}.values() if keys else entries
    going = [entry for entry in chosen if days is None or time.time() - entry.used >= days * _DAY]
    for entry in going:
        store.remove(entry)
        if entry.path.exists():
            raise UserError(f"{entry.path} can't be removed: look at its owner and rights")
    print(f"removed {len(going)} of {len(entries)}: {_size(sum(entry.size for entry in going))}")
    return 0


def _find(entries: list[store.Entry], key: str) -> store.Entry:
    found = [entry for entry in entries if entry.path.name.startswith(key)]
    if len(found) == 1:
        return found[0]
    why = f"begins {len(found)} keys: give more of it" if found else "nothing of that key is kept"
    raise UserError(f"{key}: {why}; `cvlib cache` lists what there is")


def _size(count: int) -> str:
    """Bytes in the unit of `mode.cache_gb`, which is 2³⁰ of them."""
    if count >= store.GIGABYTE:
        return f"{count / store.GIGABYTE:.1f} GB"
    return f"{count / 2**20:.1f} MB"


def _ago(when: float) -> str:
    minutes = max(time.time() - when, 0) / 60
    for unit, size in (("day", 1440), ("hour", 60), ("minute", 1)):
        if minutes >= size:
            number = int(minutes // size)
            return f"{number} {unit}{'s' * (number > 1)} ago"
    return "just now"
