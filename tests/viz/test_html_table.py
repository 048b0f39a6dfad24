"""Tables of the page: what the script sorts and filters by."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from cvlib.viz import html_table


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("64", 64), ("-3.3 ± 3.3", -3.3), ("−2", -2), ("1e-05", 1e-5), ("97.22 ± 0.41", 97.22), ("18.1 – 41.0", 18.1),
        ("38.58 (16.7)", 38.58), ("8.3 s", 8.3), ("1 min 4 s", 64), ("1 h 12 min", 4320), ("735 MB", 735),
        ("1.8 GB", 1800), ("690", 690), ("690, 90 trained", 690), ("12.8 k", 12_800),
        ("3.43 M, 12.8 k trained", 3_430_000), ("2 / 1", 2), ("–", None), ("scratch", None),
    ],
)  # fmt: skip
def test_numbers_are_read_with_their_units(text: str, value: float | None) -> None:
    assert html_table.number(text) == (None if value is None else pytest.approx(value))


def test_less_than_a_number_is_below_the_number() -> None:
    assert 0.0009 < (html_table.number("< 0.001") or 0) < 0.001


def test_cells_hold_their_value_where_the_script_cannot_read_it() -> None:
    rows = [
        {"mode": "finetune", "training": "1 min 4 s", "p": "0.001"},
        {"mode": "feature_extractor", "training": "–", "p": "< 0.001"},
    ]
    table = ElementTree.fromstring(html_table.table(rows, places=[2, 1], leaders=[1], choices=["mode"]))
    heads = table.findall(".//thead/tr/th")
    assert ["".join(head.itertext()) for head in heads] == ["mode", "training", "p"]
    assert [head.get("data-choice") for head in heads] == ["1", None, None]
    assert [head.get("class") for head in heads] == [None, "number", "number"]
    first, second = table.findall(".//tbody/tr")
    assert (first.get("data-g"), first.get("class")) == ("2", None)
    assert (second.get("data-g"), second.get("class")) == ("1", "leader")
    assert [cell.get("data-v") for cell in first] == [None, "64", None]
    assert [cell.get("data-v") for cell in second] == [None, None, "0.000999"]
    assert ["".join(cell.itertext()) for cell in second] == ["feature_extractor", "–", "<\u00a00.001"]
