"""How far a share can be trusted, and whether those of two variants differ."""

from dataclasses import dataclass
from math import sqrt

FEWEST = 30  #: of each variant's parts, below which nothing is said about the two
Z = 1.959963984540054  #: of 95 %


@dataclass(frozen=True)
class Share:
    """`part` of `whole`, with its 95 % interval by Wilson."""

    part: int
    whole: int
    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, part: int, whole: int) -> "Share":
        if whole == 0:
            return cls(0, 0, 0.0, 0.0, 1.0)
        from scipy.stats import binomtest  # here: it takes most of a second to load

        found = binomtest(part, whole).proportion_ci(method="wilson")
        return cls(part, whole, part / whole, found.low, found.high)

    def __str__(self) -> str:
        if self.whole == 0:
            return "none"
        return f"{self.rate:.2%} ({self.low:.2%} to {self.high:.2%})"


@dataclass(frozen=True)
class Difference:
    """Of a challenger's share from the champion's, with its 95 % interval by Newcombe, and what it says."""

    difference: float
    low: float
    high: float
    verdict: str

    @classmethod
    def of(cls, challenger: Share, champion: Share) -> "Difference":
        difference = challenger.rate - champion.rate
        low = difference - sqrt((challenger.rate - challenger.low) ** 2 + (champion.high - champion.rate) ** 2)
        high = difference + sqrt((challenger.high - challenger.rate) ** 2 + (champion.rate - champion.low) ** 2)
        least = min(challenger.part, champion.part)
        if least < FEWEST:
            verdict = f"too few data: {least} of {FEWEST}"
        elif low > 0:
            verdict = "challenger better"
        elif high < 0:
            verdict = "champion better"
        else:
            verdict = "no difference seen"
        return cls(difference, low, high, verdict)

    def __str__(self) -> str:
        return f"{self.difference:+.2%} ({self.low:+.2%} to {self.high:+.2%}): {self.verdict}"
