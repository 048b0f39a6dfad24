"""The backbones, one file each. `get(name)` returns one from here, or from `backbones/` in the working folder."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from cvlib.models.backbone import Backbone
from cvlib.runtime.errors import UserError

OWN_FOLDER = "backbones"  # in the working folder


def names() -> list[str]:
    """Return the names of all backbones of this package and of the user."""
    return sorted(_shipped() | set(_own_files()))


def get(name: str) -> Backbone:
    """Return the backbone with this name. The package's backbones take precedence over the user's files.

    Raises `UserError` for an unknown name, and for a user's file that can't be used.
    """
    if name in _shipped():
        return _declared(importlib.import_module(f"{__name__}.{name}"), name, name)
    if (file := _own_files().get(name)) is not None:
        return _declared(_load(name, file), str(file), name)
    near = difflib.get_close_matches(name, names(), n=3, cutoff=0.4) or names()
    raise UserError(f"there is no backbone {name}: choose from {', '.join(near)}, or add {OWN_FOLDER}/{name}.py")


def usable() -> list[Backbone]:
    """Return all backbones except the user's files that can't be used. For those, `get` raises an error."""
    found = []
    for name in names():
        with contextlib.suppress(UserError):
            found.append(get(name))
    return found


def own_code(name: str) -> str | None:
    """Return a hash of the user's file that declares a backbone; None for a backbone of this package."""
    file = None if name in _shipped() else _own_files().get(name)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file else None


@functools.cache
def _shipped() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(__path__)}


def _own_files() -> dict[str, Path]:
    files = sorted(Path(OWN_FOLDER).glob("*.py"))
    return {file.stem: file for file in files if file.stem.isidentifier() and not file.stem.startswith("_")}


def _load(name: str, file: Path) -> ModuleType:
    """Return a user's file as a module; import it again only if it has changed."""
    module_name = f"cvlib_user_backbones.{name}"
    stamp = (str(file.resolve()), file.stat().st_mtime_ns)
    known = sys.modules.get(module_name)
    if known is not None and getattr(known, "__stamp__", None) == stamp:
        return known
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # because dataclasses look up their module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        reason = (str(error) or "no reason given").splitlines()[0]
        raise UserError(f"{file} can't be imported: {type(error).__name__}: {reason}") from error
    module.__dict__["__stamp__"] = stamp
    return module


def _declared(module: ModuleType, where: str, name: str) -> Backbone:
    backbone = getattr(module, "BACKBONE", None)
    if not isinstance(backbone, Backbone):
        raise UserError(f"{where} declares no backbone: set BACKBONE to an instance of a subclass of "
                        "cvlib.models.backbone.Backbone")  # fmt: skip
    if getattr(backbone, "name", None) != name:
        raise UserError(f"{where}: its backbone's name is {getattr(backbone, 'name', None)}: set name = \"{name}\", "
                        "the name of the file")  # fmt: skip
    if not dataclasses.is_dataclass(getattr(backbone, "options", None)):
        raise UserError(f"{where}: its backbone has no options: set options to a dataclass")
    return backbone
