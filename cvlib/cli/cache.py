"""`cvlib cache`: list the results that runs cache for later runs, or remove them with `cvlib cache clear`."""

from __future__ import annotations

import argparse
import time
from typing import Any

from cvlib.runtime import store
from cvlib.runtime.clock import ago
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import size_text

_KEY_LENGTH = 12  # characters of a key that are shown; the user can give any unambiguous prefix
_DAY = 86400
# The folders below the root.
_KINDS = ("features", "images", "archives", "arrays", "links", "parquet", "webdataset", "index")


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "cache", help="list what runs have cached, or remove it with `clear`",
        description="Lists what runs have cached: features of frozen bases, resized images, images of archives, and "
        "indexes of large collections, each with its size. "
        "`cvlib cache clear` removes all of them, or only those that KEY and --older-than select. It removes nothing "
        "else. A run that needs a removed entry computes it again.",
    )  # fmt: skip
    parser.add_argument("action", nargs="?", choices=("list", "clear"), default="list", metavar="list|clear")
    parser.add_argument("keys", nargs="*", metavar="KEY", help="clear: only these keys, or unambiguous prefixes")
    parser.add_argument("--older-than", type=float, metavar="DAYS",
                        help="clear: only entries that no run has used for this many days")  # fmt: skip
    parser.add_argument("--output-root", default="outputs", metavar="DIR",
                        help="the runs' output_root (default: outputs)")  # fmt: skip
    parser.set_defaults(command=run, prints=True, listed="keys")


def run(chosen: argparse.Namespace) -> int:
    """List the cache or clear it; return 0."""
    if chosen.action == "list" and (chosen.keys or chosen.older_than is not None):
        raise UserError("KEY and --older-than select entries to remove: use `cvlib cache clear …`")
    if chosen.older_than is not None and not chosen.older_than >= 0:
        raise UserError(f"--older-than {chosen.older_than:g}: expected a number of days, 0 or more")
    root = store.root(chosen.output_root)
    entries = [entry for kind in _KINDS for entry in store.listing(root / kind)]
    if chosen.action == "clear":
        return _clear(entries, chosen.keys, chosen.older_than)
    if entries:
        from cvlib.viz.text_table import ruled

        print("\n".join(ruled([_row(entry) for entry in entries])) + "\n")
    from cvlib.config.schema import FeatureExtractor  # imports OmegaConf, which clearing doesn't need

    total = size_text(sum(entry.size for entry in entries))
    print(f"{len(entries)} entries, {total} in {root}; features use at most {FeatureExtractor().cache_gb:g} GB "
          "(mode.cache_gb), and the least recently used are removed first")  # fmt: skip
    return 0


def _row(entry: store.Entry) -> dict[str, str]:
    return {"key": entry.path.name[:_KEY_LENGTH], "what": entry.about, "size": size_text(entry.size),
            "last used": ago(max(time.time() - entry.used, 0))}  # fmt: skip


def _clear(entries: list[store.Entry], keys: list[str], days: float | None) -> int:
    chosen = {entry.path: entry for key in keys for entry in [_find(entries, key)]}.values() if keys else entries
    expired = [entry for entry in chosen if days is None or time.time() - entry.used >= days * _DAY]
    for entry in expired:
        store.remove(entry)
        if entry.path.exists():
            raise UserError(f"{entry.path} can't be removed: check its owner and permissions")
    print(f"removed {len(expired)} of {len(entries)} entries: {size_text(sum(entry.size for entry in expired))}")
    return 0


def _find(entries: list[store.Entry], key: str) -> store.Entry:
    found = [entry for entry in entries if entry.path.name.startswith(key)]
    if len(found) == 1:
        return found[0]
    why = f"{len(found)} keys begin with it: give more characters" if found else "no cached entry has this key"
    raise UserError(f"{key}: {why}; `cvlib cache` lists all keys")
