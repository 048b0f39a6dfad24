"""The rooms and the arrows between them, as docs/architecture.md draws them."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cvlib"
# From the top down: a room imports only rooms below it.
FLOORS = (
    ("api",), ("cli",), ("sweeps",), ("experiment",), ("evaluation", "prediction", "export"), ("inspection",),
    ("training",), ("transfer",), ("tasks",), ("models",), ("data",), ("compare",), ("runs",), ("viz",), ("config",),
    ("runtime",),
)  # fmt: skip
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
TASKS = ("classification", "detection", "multilabel", "segmentation")
# Comparisons with a task's name outside cvlib/tasks; each needs a reason.
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
    """The modules that a file imports, also within functions unless `at_top`; not those for the type checker alone."""
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


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "cvlib" else ""


def test_every_file_has_a_room_and_few_lie_at_the_top() -> None:
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"} <= set(FLOOR)
    assert sum(path.is_file() for path in PACKAGE.iterdir()) <= 7


@pytest.mark.parametrize("room", sorted(FLOOR))
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    wrong = [f"{file.relative_to(ROOT)} imports {module}" for file in files() for module in imports(file)
             if room_of(module_of(file)) == room and room_of(module) in FLOOR
             and room_of(module) != room and FLOOR[room_of(module)] <= FLOOR[room]]  # fmt: skip
    assert wrong == []


def test_no_circle_of_files() -> None:
    """Imports within functions count too: only those for the type checker are left out."""
    arrows = {module_of(file): {m for m in imports(file) if m in modules()} - {module_of(file)} for file in files()}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in arrows[module]:
                visit(other, (*path, module))
            done.add(module)

    for module in arrows:
        visit(module, ())


def test_who_may_import_hydra_and_keras() -> None:
    for file in files():
        room, found = room_of(module_of(file)), {name.split(".")[0] for name in imports(file)}
        if room not in ("cli", "sweeps"):
            assert not found & {"hydra", "hydra_plugins"}, file
        if room in ("compare", "runs", "viz", "config", "runtime"):
            assert not found & {"keras", "tensorflow"}, file


def test_tensorflow_stays_where_it_is_needed() -> None:
    """Feed, TensorBoard, devices, fused operations, gradients of explanations, and the exports of its own formats."""
    allowed = {
        "data/tensorflow", "training/tensorboard.py", "training/devices.py", "training/batch_norm.py",
        "training/optimizer.py", "inspection", "export", "data/layouts/tfds.py",
    }  # fmt: skip
    for file in files():
        if any(name.split(".")[0] == "tensorflow" for name in imports(file)):
            place = file.relative_to(PACKAGE).as_posix()
            assert any(place == one or place.startswith(f"{one}/") for one in allowed), place


def test_no_branch_on_a_tasks_name_outside_its_folder() -> None:
    found = []
    for file in files():
        if room_of(module_of(file)) == "tasks":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and any(
                isinstance(part, ast.Constant) and part.value in TASKS for part in ast.walk(node)
            ):
                found.append(f"{file.relative_to(ROOT)}: {ast.unparse(node)}")
    assert len(found) <= 3
    assert sorted(found) == sorted(JUSTIFIED_BRANCHES)


def test_no_other_file_names_an_architecture() -> None:
    names = [path.stem for path in (PACKAGE / "models" / "backbones").glob("*.py") if path.stem != "__init__"]
    pattern = re.compile(rf"""["']({"|".join(names)})["']""")
    for file in files():
        place = file.relative_to(PACKAGE)
        if place.parts[:2] == ("models", "backbones"):
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            assert not pattern.search(line), f"{place}:{number}: {line.strip()}"


def test_a_layer_is_never_found_by_the_string_backbone_and_only_the_adapter_replaces_a_call() -> None:
    for file in files():
        text = file.read_text(encoding="utf-8")
        assert 'get_layer("backbone")' not in text, file
        if file.name != "call_adapter.py":
            assert not re.search(r"\w\.call = ", text), file
