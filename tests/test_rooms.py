"""The imports between packages follow docs/architecture.md."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cvlib"
# From top to bottom: a package imports only packages below it.
LEVELS = (
    ("api",), ("cli",), ("recommend",), ("sweeps",), ("experiment",), ("benchmark",),
    ("evaluation", "prediction", "export"), ("inspection",), ("training",), ("transfer",), ("tasks",), ("models",),
    ("data",), ("report",), ("compare",), ("runs",), ("viz",), ("config",), ("runtime",),
)  # fmt: skip
LEVEL = {package: number for number, packages in enumerate(LEVELS) for package in packages}
TASKS = ("classification", "detection", "multilabel", "segmentation")
# Comparisons with a task's name outside cvlib/tasks, with the reason for each.
JUSTIFIED_BRANCHES: dict[str, str] = {}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> frozenset[str]:
    return frozenset(module_of(file) for file in files())


@cache
def imports(file: Path, at_top: bool = False) -> tuple[str, ...]:
    """Return the modules that a file imports, without type-checking imports; with `at_top`, not those in functions."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = []
    for node in tree.body if at_top else _walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name if name in modules() else node.module for name in inner]
    return tuple(found)


def _walk(node: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        found += [child, *_walk(child)]
    return found


def package_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "cvlib" else ""


def test_every_package_is_listed_and_few_files_are_at_the_top() -> None:
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"} <= set(LEVEL)
    assert sum(path.is_file() for path in PACKAGE.iterdir()) <= 7


@pytest.mark.parametrize("package", sorted(LEVEL))
def test_a_package_imports_only_packages_below_it(package: str) -> None:
    wrong = [f"{file.relative_to(ROOT)} imports {module}" for file in files() for module in imports(file)
             if package_of(module_of(file)) == package and package_of(module) in LEVEL
             and package_of(module) != package and LEVEL[package_of(module)] <= LEVEL[package]]  # fmt: skip
    assert wrong == []


def test_there_are_no_circular_imports() -> None:
    """Imports within functions count too; only type-checking imports are left out."""
    imported = {module_of(file): {m for m in imports(file) if m in modules()} - {module_of(file)} for file in files()}
    visited: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join([*path[path.index(module) :], module])
        if module not in visited:
            for other in imported[module]:
                visit(other, (*path, module))
            visited.add(module)

    for module in imported:
        visit(module, ())


def test_only_some_packages_import_hydra_and_keras() -> None:
    for file in files():
        package, found = package_of(module_of(file)), {name.split(".")[0] for name in imports(file)}
        if package not in ("cli", "sweeps"):
            assert not found & {"hydra", "hydra_plugins"}, file
        if package in ("report", "compare", "runs", "viz", "config", "runtime"):
            assert not found & {"keras", "tensorflow"}, file


def test_tensorflow_is_imported_only_where_needed() -> None:
    """The feed, TensorBoard, devices, fused operations, gradients, exports and predictions use TensorFlow."""
    allowed = {
        "data/tensorflow", "training/tensorboard.py", "training/devices.py", "training/own_state.py",
        "training/batch_norm.py", "training/event_file.py",
        "training/optimizer.py", "inspection", "export", "data/layouts/tfds.py",
        "tasks/serving.py",
    }  # fmt: skip
    for file in files():
        if any(name.split(".")[0] == "tensorflow" for name in imports(file)):
            place = file.relative_to(PACKAGE).as_posix()
            assert any(place == one or place.startswith(f"{one}/") for one in allowed), place


def test_no_file_outside_the_tasks_compares_with_a_tasks_name() -> None:
    found = []
    for file in files():
        if package_of(module_of(file)) == "tasks":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and any(
                isinstance(part, ast.Constant) and part.value in TASKS for part in ast.walk(node)
            ):
                found.append(f"{file.relative_to(ROOT)}: {ast.unparse(node)}")
    assert len(found) <= 3
    assert sorted(found) == sorted(JUSTIFIED_BRANCHES)


def test_only_backbone_files_name_an_architecture() -> None:
    names = [path.stem for path in (PACKAGE / "models" / "backbones").glob("*.py") if path.stem != "__init__"]
    pattern = re.compile(rf"""["']({"|".join(names)})["']""")
    for file in files():
        place = file.relative_to(PACKAGE)
        if place.parts[:2] == ("models", "backbones"):
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            assert not pattern.search(line), f"{place}:{number}: {line.strip()}"


def test_no_file_looks_up_the_layer_backbone_and_only_the_adapter_replaces_calls() -> None:
    for file in files():
        text = file.read_text(encoding="utf-8")
        assert 'get_layer("backbone")' not in text, file
        if file.name != "call_adapter.py":
            assert not re.search(r"\w\.call = ", text), file
