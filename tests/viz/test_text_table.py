"""Aligned columns of text tables."""

from cvlib.viz.text_table import aligned, markdown, ruled


def test_words_are_aligned_left_and_numbers_right():
    rows = [["class", "images", "share"], ["cat", "7", "0.25"], ["elephant", "1200", "0.5"]]
    assert aligned(rows) == ["class     images  share", "cat            7   0.25", "elephant    1200    0.5"]


def test_left_aligned_columns_can_be_chosen_and_no_line_ends_in_spaces():
    assert aligned([["a", "b"], ["long", ""]], left=(0, 1)) == ["a     b", "long"]


def test_the_rule_under_the_header_is_as_wide_as_the_columns():
    assert aligned([["run", "n"], ["x", "100"]], rule=True) == ["run    n", "───  ───", "x    100"]


def test_columns_of_numbers_are_aligned_right():
    rows = [{"run": "x", "n": "1", "p": "< 0.001"}, {"run": "2nd", "n": "–", "p": "0.5"}]
    assert ruled(rows)[0] == "run  n        p"
    assert markdown(rows)[1] == "|---|---:|---:|"
