"""Annotated array shapes are checked during tests."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from cvlib.compare import statistics
from cvlib.data import resize
from tests.conftest import modules_with_shapes


def test_a_wrong_shape_is_an_error() -> None:
    assert {"cvlib.compare.statistics", "cvlib.data.resize", "cvlib.tasks.segmentation.counts"} <= set(
        modules_with_shapes()
    )
    with pytest.raises(TypeCheckError, match="samples"):
        statistics.mcnemar(np.ones(3), np.ones(4))
    with pytest.raises(TypeCheckError, match="boxes 4"):
        resize.back(np.ones((2, 5)), 10, 10, (10, 10), "stretch")
