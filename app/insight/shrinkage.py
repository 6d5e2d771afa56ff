"""Rates of few and many trials made comparable: each is drawn towards that of all, the more, the less is known of it.

Successes of each one are binomial at a rate of its own, and these rates follow a Beta distribution, whose parameters
are found by moments: Kleinman, "Proportions with Extraneous Variance: Single and Independent Samples", Journal of the
American Statistical Association 68 (1973), with the trials as weights. What is shown is the posterior (Casella, "An
Introduction to Empirical Bayes Data Analysis", The American Statistician 39, 1985).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TAIL = 0.025  #: on either side of a 95 % interval


@dataclass(frozen=True)
class Trials:
    """Sums over those that had any trial.

    `groups`: how many; `trials`, `successes`: in all; `squares`: sum of trials²; `spread`: sum of
    successes² / trials.
    """

    groups: int
    trials: int
    successes: int
    squares: float
    spread: float

    @classmethod
    def of(cls, trials: NDArray[np.int64], successes: NDArray[np.int64], groups: NDArray[np.int64]) -> "Trials":
        """Of so many groups with each of some counts (n,); none has 0 trials."""
        own, other = trials.astype(np.float64), successes.astype(np.float64)
        return cls(
            groups=int(groups.sum()),
            trials=int((trials * groups).sum()),
            successes=int((successes * groups).sum()),
            squares=float((own**2 * groups).sum()),
            spread=float((other**2 / own * groups).sum()),
        )

    @property
    def rate(self) -> float:
        """Successes per trial, over all."""
        return self.successes / self.trials if self.trials else 0.0


@dataclass(frozen=True)
class Prior:
    """Beta(alpha, beta)."""

    alpha: float
    beta: float

    def posterior(
        self, trials: NDArray[np.int64], successes: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Mean, lower and upper end of the central 95 % interval of each rate (n,)."""
        from scipy.special import betaincinv  # here: it takes a while to load, and only the driver needs it

        alpha, beta = self.alpha + successes, self.beta + trials - successes
        return alpha / (alpha + beta), betaincinv(alpha, beta, TAIL), betaincinv(alpha, beta, 1 - TAIL)


def fit_prior(found: Trials) -> Prior | None:
    """The distribution of the rates; None where they don't differ beyond chance, or can't be told."""
    rate = found.rate
    if not 0 < rate < 1:
        return None
    excess = (found.spread - found.trials * rate**2) / (rate * (1 - rate)) - (found.groups - 1)
    room = found.trials - found.squares / found.trials - (found.groups - 1)
    correlation = excess / room if room > 0 else 0.0  # of two trials of one group
    if not 0 < correlation < 1:
        return None
    strength = 1 / correlation - 1
    return Prior(rate * strength, (1 - rate) * strength)
