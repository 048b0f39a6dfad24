"""Long names lose the parts they share, and different names stay different."""

from __future__ import annotations

import pytest

from cvlib.compare.names import shortened


@pytest.mark.parametrize(
    ("texts", "short"),
    [
        (["scratch", "finetune"], ["scratch", "finetune"]),
        (["/data/runs/a", "/data/runs/b", "null"], ["…/a", "…/b", "null"]),
        (["/data/runs/first"], ["…/first"]),
        (["s/lr=0.1,mode=x,seed=0,z=1", "s/lr=0.1,mode=y,seed=0,z=1"], ["…,mode=x…", "…,mode=y…"]),
        (["/big/data/runs", "/big/data/runs/b"], ["…/runs", "…/runs/b"]),
        (["abcdefghijklmnop"], ["abcde…lmnop"]),
        (["abcdefghijklmnop", "abcdeXXXXXXlmnop"], ["abcdefghijklmnop", "abcdeXXXXXXlmnop"]),
    ],
)
def test_long_texts_lose_the_parts_they_share(texts: list[str], short: list[str]) -> None:
    assert shortened(texts, 10) == dict(zip(texts, short, strict=True))
