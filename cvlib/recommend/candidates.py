"""The candidates of a recommendation: a network, a regime, an image size and an augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cvlib.config.quotes import in_quotes
from cvlib.recommend.bases import Base
from cvlib.recommend.settings import Templates
from cvlib.transfer.sources import IMAGENET

_LARGER, _STEP = 1.4, 32  # the larger image size, as a factor, and what it is a multiple of
_SCRATCH = "mode=scratch"
_MODES = {"mode=feature_extractor": "frozen", "mode=finetune": "fine-tuned", _SCRATCH: "from scratch"}


@dataclass(frozen=True)
class Candidate:
    """One candidate.

    Attributes:
        name: for people, such as `efficientnet_lite fine-tuned`.
        overrides: what selects it; the data and the seed are not among them.
    """

    name: str
    overrides: tuple[str, ...]


def frozen(found: Templates, ranked: Sequence[Base]) -> list[Candidate]:
    """Return the best-ranked backbone as a frozen feature extractor, if its features can be cached."""
    made = _made(found.frozen, found, ranked, None) if found.frozen else None
    return [made] if made else []


def trained(found: Templates, ranked: Sequence[Base], size: int | None, small: bool = False) -> list[Candidate]:
    """Return the candidates that are trained as long as the time allows, in the order in which they join the race.

    Args:
        size: the default image size of the best-ranked backbone in pixels, if the images are larger than that.
        small: whether networks from scratch come first, because pretrained ones have seen much larger images.
    """
    templates = sorted(found.trained, key=lambda one: small and _SCRATCH not in one)  # keeps the order otherwise
    made = [_made(template, found, ranked, size) for template in templates]
    return list(dict.fromkeys(one for one in made if one is not None))


def _made(template: Sequence[str], found: Templates, ranked: Sequence[Base], size: int | None) -> Candidate | None:
    """Fill in a template; None if there is no such backbone, or if the images aren't larger."""
    overrides: list[str] = []
    words: list[str] = []
    for part in template:
        if part in ("{1}", "{2}"):
            place = int(part[1]) - 1
            if place >= len(ranked):
                return None
            base = ranked[place]
            overrides += base.overrides(found.base)
            words.append(base.name)
            if base.weights != IMAGENET:
                overrides.append(f"mode.weights={in_quotes(base.weights)}")
        elif "{larger}" in part:
            if size is None:
                return None
            larger = round(_LARGER * size / _STEP) * _STEP
            overrides.append(part.format(larger=larger))
            words.append(f"at {larger} px")
        else:
            overrides.append(part)
            words.append(_MODES.get(part, part.partition("=")[2] if part.startswith("model=") else part))
    return Candidate(" ".join(word for word in words if not word.startswith("task=")), tuple(overrides))
