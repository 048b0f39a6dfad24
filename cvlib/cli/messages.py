"""Hydra's errors in one line: the invalid key or value, and the nearest valid one.

This module imports neither Hydra nor TensorFlow.
"""

from __future__ import annotations

import difflib
import re

from cvlib.config import answers, unused_keys
from cvlib.sweeps.launchers import EXTRAS, not_installed


def is_hydra_error(error: Exception) -> bool:
    """Return whether Hydra or OmegaConf raised the error while composing, rather than cvlib during a run."""
    return type(error).__module__.split(".")[0] in ("hydra", "omegaconf", "antlr4") or _is_null_choice(error)


def _is_null_choice(error: Exception) -> bool:
    """Return whether the error is Hydra's plain `ValueError` for `model=null`."""
    return isinstance(error, ValueError) and str(error).startswith("Config group override must be")


def explain(error: Exception, arguments: list[str]) -> str:
    """Return one line for a Hydra error: the invalid key or value, and the nearest valid one."""
    text = str(error)
    if absent := re.search(r"Could not load 'hydra/launcher/(submitit)\w*'", text):
        return not_installed("slurm", EXTRAS[absent.group(1)])
    if missing := re.search(r"Could not find '([\w/-]+)/([^'/]*)'", text):
        group, choice = missing.groups()
        return f"{group}={choice}: there is no such {group}; " + suggest(choice, answers.choices(group))
    if _is_null_choice(error):
        empty = next((a for a in arguments if re.fullmatch(r"\+?[\w/]+=.*\bnull\b.*", a)), "a group")
        return f"{empty}: expected a choice; " + suggest("null", answers.choices(empty.split("=")[0].lstrip("+")))
    if type(error).__name__ == "OverrideParseException":
        problem = re.sub(r"^\w*(Exception|Error): ", "", text.splitlines()[0])
        return f"{problem}: expected key=value; a value with brackets, commas or spaces needs quotes: \"key='a value'\""
    overrides = [a for a in arguments if "=" in a and not a.startswith("-")]
    if sweep := re.search(r"Ambiguous value for argument '(.+)'", text.splitlines()[0] if text else ""):
        key, _, values = sweep[1].partition("=")
        return (f"{sweep[1]}: several values need -m, which runs a sweep; a single value with commas needs quotes: "
                f"\"{key}='{values}'\"")  # fmt: skip
    if studies := [a for a in overrides if a.startswith("experiment=")]:
        return f"{studies[0]}: a study needs a plus sign, +{studies[0]}"
    for key in (override.split("=")[0].lstrip("+~") for override in overrides):
        if unused_keys.is_inside(key) and f"'{key}'" not in text:
            continue  # Hydra accepts all of these, see cvlib.cli.loader
        if key.startswith("hydra.sweeper.") and key not in (known := _sweeper_keys()):
            return f"{key}: there is no such key; " + suggest(key, known)
        if not key.startswith("hydra") and "@" not in key and key not in (known := keys(arguments)):
            return f"{key}: " + (_belongs_elsewhere(key) or "there is no such key; " + suggest(key, known))
    return text.splitlines()[0] if text else type(error).__name__


def keys(arguments: list[str]) -> list[str]:
    """Return every key that can be overridden with the groups chosen in `arguments`, sorted."""
    defaults = answers.defaults()
    found = [key for key in defaults if key not in ("defaults", "hydra")]
    for entry in defaults["defaults"]:
        group, choice = next(iter(entry.items())) if isinstance(entry, dict) else ("", "")
        if not group or not answers.folders(group):
            continue
        found.append(group)
        if choice is None:  # a group whose choices only change keys of other groups
            continue
        chosen = next((a.split("=", 1)[1] for a in arguments if a.startswith(f"{group}=")), choice)
        found += [f"{group}.{key}" for key in answers.keys(group, chosen.split(",")[0])]
    return sorted(set(found))


def suggest(word: str, known: list[str]) -> str:
    """Return a hint that names the known words nearest to `word`."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    same_end = [key for key in known if key.split(".")[-1] == word.split(".")[-1]]
    nearest = list(dict.fromkeys(same_end + close))[:3]
    if nearest:
        return f"did you mean {' or '.join(nearest)}?"
    return "choose from " + ", ".join(known) if len(known) < 30 else "`python run.py --help` lists them all"


def _sweeper_keys() -> list[str]:
    return [f"hydra.sweeper.{key}" for key in answers.keys("hydra/sweeper", "resumable") if key != "_target_"]


def _belongs_elsewhere(key: str) -> str | None:
    group, _, name = key.partition(".")
    owners = answers.owners(group, name) if name else []
    return f"only {group}={' | '.join(owners)} has this key" if owners else None
