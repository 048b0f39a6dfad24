"""Short names for tables: the parts that all long names share are left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import takewhile

LONGEST = 40  # characters


def shortened(texts: Iterable[str], longest: int = LONGEST) -> dict[str, str]:
    """Return a short form of each text: long texts lose the parts they share, and different texts stay different.

    For example, `/data/birds/outputs/runs/letters` next to `/data/birds/outputs/runs/clothing` becomes `…/letters`.
    """
    short = {text: text for text in texts}
    long = [text for text in short if len(text) > longest]
    for text, rest in zip(long, _without_shared([re.split(r"(?=[/,])", text) for text in long]), strict=True):
        short[text] = rest if len(rest) <= longest else f"{rest[: longest // 2]}…{rest[-(longest // 2) :]}"
    return short if len(set(short.values())) == len(short) else {text: text for text in short}


def _without_shared(texts: list[list[str]]) -> list[str]:
    """Return each text, given as parts, without the first and last parts that all texts share."""
    least = min(map(len, texts), default=1) - 1
    first = _shared(texts, least)
    last = _shared([text[::-1] for text in texts], least - first) if len(texts) > 1 else 0
    return ["…" * (first > 0) + "".join(text[first : len(text) - last]) + "…" * (last > 0) for text in texts]


def _shared(texts: list[list[str]], most: int) -> int:
    places = zip(*texts, strict=False)
    return min(most, sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, places)))
