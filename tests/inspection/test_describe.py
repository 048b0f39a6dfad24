"""The network of a config or a run, described without the command line."""

from __future__ import annotations

from cvlib.cli.compose import compose
from cvlib.inspection import describe


def test_the_network_of_a_config_is_described() -> None:
    subject = describe.of_config(compose(["model.filters=[3]", "model.dense=[]"]))
    assert (subject.spec.size, subject.spec.channels, subject.classes, subject.notes) == ((8, 8), 1, 10, [])
    found = describe.describe(subject)
    assert found.model.count_params() == sum(row.parameters for row in found.rows)
    assert found.lines()[-1].startswith("total: ")
    assert [row["layer"] for row in found.records()] == [row.name for row in found.rows]
