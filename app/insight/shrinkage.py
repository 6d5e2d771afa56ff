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
#: Trials from which on a group tells how rates differ. Where those rarely tried do worse than others (products that
#: hardly anybody looks at), they would hide it: all of them together are less spread than at the rate of all.
FEWEST = 10


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


def rate_of(trials: NDArray[np.int64], successes: NDArray[np.int64], groups: NDArray[np.int64]) -> float:
    """Successes per trial over all groups; 0 without a trial. Parameters as those of `fit_prior`."""
    tried = int((trials * groups).sum())
    return float((successes * groups).sum() / tried) if tried else 0.0


def fit_prior(trials: NDArray[np.int64], successes: NDArray[np.int64], groups: NDArray[np.int64]) -> Prior | None:
    """The distribution of the rates, whose mean is that of all trials.

    Parameters
    ----------
    trials, successes
        (n,), each pair of counts once; none has 0 trials.
    groups
        (n,), how many have these counts.

    Returns
    -------
    Prior or None
        None where rates don't differ beyond chance, or it can't be told.
    """
    rate = rate_of(trials, successes, groups)
    telling = trials >= FEWEST
    own, won = trials[telling].astype(np.float64), successes[telling].astype(np.float64)
    many = groups[telling].astype(np.float64)
    count, total = many.sum(), (own * many).sum()
    mean = (won * many).sum() / total if total else 0.0
    if not 0 < mean < 1:
        return None
    spread = (won**2 / own * many).sum() - total * mean**2
    room = total - (own**2 * many).sum() / total - (count - 1)
    correlation = (spread / (mean * (1 - mean)) - (count - 1)) / room if room > 0 else 0.0  # of two trials of a group
    if not 0 < correlation < 1:
        return None
    strength = 1 / correlation - 1
    return Prior(rate * strength, (1 - rate) * strength)
