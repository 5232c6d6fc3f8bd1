"""What a model's tokens cost, from platform.claude.com/docs/en/about-claude/pricing (November 2026)."""

from collections.abc import Mapping
from dataclasses import dataclass

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """USD for a million tokens: fresh input, output, input written to the 5 min cache, input read from it."""

    fresh: float
    output: float
    write: float
    read: float


PRICES: Mapping[str, Price] = {
    "claude-fable-5-1": Price(10, 50, 12.5, 0.25),
    "claude-fable-5": Price(10, 50, 12.5, 1),
    "claude-opus-5-5": Price(4, 20, 5, 0.2),
    "claude-opus-5": Price(5, 25, 6.25, 0.5),
    "claude-opus-4": Price(5, 25, 6.25, 0.5),
    "claude-sonnet-5": Price(2, 10, 2.5, 0.2),
    "claude-sonnet-4": Price(3, 15, 3.75, 0.3),
    "claude-haiku-4-5": Price(1, 5, 1.25, 0.1),
}
"""By the beginning of a model's name, the longest that fits."""


def price_of(model: str) -> Price | None:
    """Return a model's price, None where it is not known: a local one's, or one that came later."""
    fits = [name for name in PRICES if model.startswith(name)]
    return PRICES[max(fits, key=len)] if fits else None


def usd(model: str, usage: Mapping[str, int]) -> float:
    """Return what a message cost, 0 where the model's price is not known.

    usage: tokens by the API's names.
    """
    price = price_of(model)
    if price is None:
        return 0.0
    cost = (
        usage.get("input_tokens", 0) * price.fresh
        + usage.get("output_tokens", 0) * price.output
        + usage.get("cache_creation_input_tokens", 0) * price.write
        + usage.get("cache_read_input_tokens", 0) * price.read
    )
    return cost / MILLION
