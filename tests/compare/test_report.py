"""The comparison as text, Markdown, CSV and HTML."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from cvlib.compare import compare
from cvlib.viz import text_table

MakeRun = Callable[..., Path]


@pytest.fixture
def study(tmp_path: Path, make_run: MakeRun) -> Path:
    """Create runs of two regimes with three seeds each, and a failed run."""
    for seed in (1, 2, 3):
        make_run(f"a{seed}", {"seed": seed, "mode.name": "finetune"}, right=[1] * (17 + seed) + [0] * (3 - seed))
        make_run(f"b{seed}", {"seed": seed, "mode.name": "scratch"}, right=[1] * (7 + seed) + [0] * (13 - seed))
    make_run("broken", status="failed", error="ran out\nof memory")
    return tmp_path


def fail_on_message(line: str) -> None:
    pytest.fail(f"unexpected message: {line}")


def test_the_text_has_a_table_a_verdict_and_the_runs_left_out(study: Path) -> None:
    lines = compare([study], fail_on_message).splitlines()
    assert lines[0] == "classification on digits, by test/accuracy: 6 completed runs in 2 groups"
    assert re.split(r"  +", lines[2]) == [
        "mode", "seeds", "test/accuracy %", "95 % CI", "best val/accuracy % (epoch)", "last (epoch)", "parameters",
        "training", "memory",
    ]  # fmt: skip
    # 18, 19 and 20 of 20 are correct: 95 ± 5 %. The CI accounts for new seeds and new test images.
    assert re.split(r"  +", lines[4]) == [
        "finetune", "3", "95.00 ± 5.00", "71.81 – 99.30", "94.00 (2)", "93.00 (3)", "225 k", "12.5 s", "600 MB",
    ]  # fmt: skip
    text = "\n".join(lines)
    assert "\nfinetune beats scratch by 50.0 ± " in text
    assert "\nleft out because its status is failed: broken (ran out of memory)\n" in text


def test_with_a_row_per_run_the_runs_are_named(study: Path) -> None:
    lines = compare([study], fail_on_message, by="run").splitlines()
    assert lines[2].split()[:3] == ["run", "mode", "seed"]
    assert lines[4].split()[:4] == ["a3", "finetune", "3", "100.00"]
    assert len([line for line in lines if re.match(r"[ab]\d  ", line)]) == 6


def test_markdown_rows_have_the_same_number_of_columns(study: Path) -> None:
    text = compare([study], fail_on_message, form="md")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert table[0].startswith("| mode | seeds | test/accuracy % |")
    assert table[1].startswith("|---|---:|---:|")
    assert {line.count("|") for line in table[:4]} == {table[0].count("|")}
    assert "- finetune beats scratch" in text
    assert text_table.markdown([{"a": "x|y"}])[2] == "| x\\|y |"


def test_csv_holds_plain_numbers_and_the_verdict_is_printed_separately(study: Path) -> None:
    messages: list[str] = []
    first, second = csv.DictReader(io.StringIO(compare([study], messages.append, form="csv")))
    assert (first["mode.name"], first["seeds"], first["metric"]) == ("finetune", "3", "test/accuracy")
    assert float(first["mean"]) == pytest.approx(0.95)
    assert float(first["deviation"]) == pytest.approx(0.05)
    assert float(first["train_seconds"]) == 12.5
    assert first["behind"] == ""
    assert float(second["behind"]) == pytest.approx(0.5)
    assert float(second["p_holm"]) < 0.05
    assert messages[0].startswith("finetune beats scratch")


def test_warnings_are_shown(study: Path, make_run: MakeRun) -> None:
    make_run("late", {"seed": 1, "mode.name": "feature_extractor"}, versions={"keras": "9"})
    assert "warning: runs used different versions of keras: 3.15.1, 9" in compare([study], fail_on_message)
    assert "runs used different versions of keras" in compare([study], fail_on_message, form="html")


def test_without_completed_runs_the_text_lists_the_others(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", status="diverged", error="loss became nan")
    for form in ("table", "md", "html"):
        text = compare([tmp_path], fail_on_message, form=form)
        assert "0 completed runs" in text
        assert "left out because its status is diverged: a (loss became nan)" in text


def body(page: str) -> ElementTree.Element:
    """Return the page's body, without its script, if it is well-formed."""
    return ElementTree.fromstring(re.sub(r"<script>.*</script>", "", page[page.index("<body>") : page.index("</html>")],
                                         flags=re.DOTALL))  # fmt: skip


def test_the_html_page_is_self_contained_and_well_formed(study: Path) -> None:
    page = compare([study], fail_on_message, form="html")
    assert not re.search(r"(src|href)=|https?://|@import|url\(", page)
    root = body(page)
    figures = [figure.findtext("figcaption") for figure in root.iter("figure")]
    assert figures == ["Learning curves: val/accuracy", "val/accuracy over time"]
    drawn = root.findall(".//svg[@role='img']")[0].findall(".//path[@class='line']")
    assert [line.findtext("title") for line in drawn] == ["finetune", "scratch"]
    table = root.find(".//table")
    assert table is not None
    assert ["".join(cell.itertext()) for cell in table.findall(".//th")][:3] == ["#", "mode", "seeds"]
    assert [["".join(cell.itertext()) for cell in row][:3] for row in table.findall("tbody/tr")] == [
        ["1", "finetune", "3"], ["2", "scratch", "3"],
    ]  # fmt: skip
    assert "mode.name" in "".join(root.itertext())


def test_the_html_page_shows_data_efficiency_if_the_fraction_varies(tmp_path: Path, make_run: MakeRun) -> None:
    for fraction in (0.1, 1.0):
        for seed in (1, 2):
            for mode in ("scratch", "finetune"):
                changes = {"data.fraction": fraction, "seed": seed, "mode.name": mode}
                make_run(f"{mode}{fraction}{seed}", changes, right=[1] * (5 + seed) + [0] * 3)
    page = compare([tmp_path], fail_on_message, form="html")
    figure = page[page.index("Data efficiency: test/accuracy") :]
    figure = figure[: figure.index("</figure>")]
    assert figure[: figure.index("<ul")].count('class="mark"') == 4
    assert "finetune</li>" in figure


def test_legends_explain_the_group_numbers(tmp_path: Path, make_run: MakeRun) -> None:
    for index, filters in enumerate(([8, 16, 32, 64, 128], [4, 8, 16, 32, 64])):
        changes = {"model.filters": filters, "optimizer.lr": 0.1**index, "mode.weights": f"imagenet{index}"}
        make_run(f"{index}", changes, right=[1, index])
    legend = body(compare([tmp_path], fail_on_message, form="html")).find(".//ul[@class='legend']")
    assert ["".join(entry.itertext()) for entry in legend] == [
        "#1 model.filters=[4,8,16,32,64] mode.weights=imagenet1 optimizer.lr=0.1",
        "#2 model.filters=[8,16,32,64,128] mode.weights=imagenet0 optimizer.lr=1",
    ]


def test_only_the_shown_columns_are_explained(study: Path, tmp_path: Path, make_run: MakeRun) -> None:
    text = compare([study], fail_on_message, form="md").splitlines()
    assert text[-1] == (
        "Means ± standard deviation over seeds. The CI accounts for new seeds and new test images. Differences ± one "
        "standard error. p (these networks): would the same networks also differ on other images? p (new seeds): would "
        "networks trained with other seeds also differ? p Holm: p corrected for the number of comparisons; the verdict "
        "uses it."
    )
    alone = make_run("alone/a").parent
    assert compare([alone], fail_on_message).splitlines()[-1] == "only one group: nothing to compare it with"
    make_run("alone/b", {"mode.name": "finetune"}, right=[1] * 9 + [0])
    assert " seeds" not in compare([alone], fail_on_message, form="html").split('<p class="soft">')[1]


def test_names_are_escaped_in_the_html_page(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", {"mode.name": "<script>alert(1)</script>"})
    make_run("b")
    page = compare([tmp_path], fail_on_message, form="html")
    assert page.count("<script") == 1
    assert "alert(1)<" not in page
    assert "&lt;script&gt;" in page


def test_runs_without_curves_have_no_figures(tmp_path: Path, make_run: MakeRun) -> None:
    (make_run("a") / "metrics.csv").unlink()
    assert "<figure" not in compare([tmp_path], fail_on_message, form="html")


def test_a_thousand_runs_need_no_tensorflow(tmp_path: Path, make_run: MakeRun) -> None:
    for index in range(1000):
        make_run(
            f"{index}", {"optimizer.lr": index // 5 / 1000, "seed": index % 5}, right=[1] * (index // 5) + [0] * 200
        )
    code = (
        "import sys; from pathlib import Path; from cvlib.compare import compare; "
        f"text = compare([Path({str(tmp_path)!r})], print); print(text.count('±')); "
        "print(sorted({'tensorflow', 'keras', 'hydra', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
