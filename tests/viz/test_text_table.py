"""Columns that line up."""

from cvlib.viz.text_table import aligned, markdown, ruled


def test_words_to_the_left_numbers_to_the_right():
    rows = [["class", "images", "share"], ["cat", "7", "0.25"], ["elephant", "1200", "0.5"]]
    assert aligned(rows) == ["class     images  share", "cat            7   0.25", "elephant    1200    0.5"]


def test_what_is_to_the_left_can_be_chosen_and_no_line_ends_in_blanks():
    assert aligned([["a", "b"], ["long", ""]], left=(0, 1)) == ["a     b", "long"]


def test_a_rule_stands_under_the_header_as_wide_as_its_columns():
    assert aligned([["run", "n"], ["x", "100"]], rule=True) == ["run    n", "───  ───", "x    100"]


def test_columns_of_numbers_are_found():
    rows = [{"run": "x", "n": "1", "p": "< 0.001"}, {"run": "2nd", "n": "–", "p": "0.5"}]
    assert ruled(rows)[0] == "run  n        p"
    assert markdown(rows)[1] == "|---|---:|---:|"
