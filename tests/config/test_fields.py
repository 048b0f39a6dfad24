"""Dataclass fields with bounds: conversion, bounds, and one-line messages."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest

from cvlib.config.fields import Options, check_bounds, option, require, typed, word
from cvlib.runtime.errors import UserError


@dataclass
class Sample(Options):
    count: int = option(3, low=1, high=9)
    share: float = option(0.5, low=0)
    most: float | None = option(None, high=2.5)
    kind: str | None = option("a", choices=("a", "b", None))
    widths: list[int] = option([1, 2], low=5)
    table: dict[str, float] = option({"x": 1.0})
    on: bool = False


def test_values_are_converted_to_the_types_of_their_fields() -> None:
    made = typed(Sample, {"count": "4", "share": 1, "on": "true", "widths": ("3",)}, "group")
    assert made == Sample(4, 1.0, None, "a", [3], {"x": 1.0}, True)
    assert isinstance(made.share, float)


def test_mutable_defaults_are_copied_for_each_object() -> None:
    first, second = Sample(), Sample()
    first.widths.append(3)
    first.table["y"] = 2.0
    assert (second.widths, second.table) == ([1, 2], {"x": 1.0})


def test_values_without_a_field_are_ignored() -> None:
    assert typed(Sample, {"count": 4, "other": 1}, "group") == Sample(4)


@pytest.mark.parametrize(("values", "message"), [
    ({"count": 0}, "invalid group.count=0: expected a value between 1 and 9"),
    ({"count": 10}, "invalid group.count=10: expected a value between 1 and 9"),
    ({"share": -0.5}, "invalid group.share=-0.5: expected 0 or more"),
    ({"most": 3}, "invalid group.most=3.0: expected 2.5 or less"),
    ({"kind": "c"}, "invalid group.kind=c: expected one of a, b, null"),
])  # fmt: skip
def test_a_value_out_of_bounds_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        typed(Sample, values, "group")
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_out_of_bounds(value: float) -> None:
    with pytest.raises(UserError, match=r"invalid group.most="):
        typed(Sample, {"most": value}, "group")


AT_BOUNDS = [{"count": 1}, {"count": 9}, {"share": 0}, {"most": None}, {"kind": None}, {"widths": []}]


@pytest.mark.parametrize("values", AT_BOUNDS)
def test_values_at_their_bounds_and_none_are_accepted(values: dict[str, Any]) -> None:
    assert dataclasses.asdict(typed(Sample, values, "group")).items() >= values.items()


@pytest.mark.parametrize(("values", "key"), [
    ({"count": "four"}, "count"), ({"widths": [1, "x"]}, r"widths\[1\]"), ({"on": "perhaps"}, "on"),
    ({"table": {"x": "y"}}, "table.x"),
])  # fmt: skip
def test_a_wrong_type_is_refused_in_one_line_that_names_the_key(values: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match=f"^group.{key}: ") as caught:
        typed(Sample, values, "group")
    assert "\n" not in str(caught.value)


def test_none_as_in_python_is_explained() -> None:
    with pytest.raises(UserError, match=r"^group\.count=None: write null for no value$"):
        typed(Sample, {"count": "None"}, "group")


def test_bounds_can_be_checked_without_a_group() -> None:
    with pytest.raises(UserError, match=r"^invalid count=0: "):
        check_bounds(Sample(count=0), "")


def test_values_in_messages_are_written_as_in_yaml() -> None:
    require(True, "key", 1, "anything")
    with pytest.raises(UserError, match=r"^invalid key=\[1,null,true,x\]: expected less$"):
        require(False, "key", [1, None, True, "x"], "less")
    assert [word(value) for value in (None, True, False, 1, 0, 0.5, (1, 2))] == [
        "null", "true", "false", "1", "0", "0.5", "[1,2]",
    ]  # fmt: skip


def test_no_field_is_unused_by_default() -> None:
    assert Sample().unused() == set()
