"""The Beta prior by moments: what it must find where the truth is known."""

import numpy as np
import pytest
from scipy.stats import beta as beta_distribution

from app.insight.shrinkage import Prior, Trials, fit_prior


def sums(trials: np.ndarray, successes: np.ndarray) -> Trials:
    return Trials.of(trials, successes, np.ones_like(trials))


def test_equal_groups_are_counted_together() -> None:
    together = Trials.of(np.array([10, 20]), np.array([2, 5]), np.array([3, 1]))
    assert together == sums(np.array([10, 10, 10, 20]), np.array([2, 2, 2, 5]))
    assert together == Trials(groups=4, trials=50, successes=11, squares=700.0, spread=pytest.approx(2.45))


def test_the_prior_that_rates_were_drawn_from_is_found() -> None:
    rng = np.random.default_rng(5)
    trials = rng.geometric(0.01, 20_000)
    successes = rng.binomial(trials, rng.beta(2.0, 38.0, 20_000))
    prior = fit_prior(sums(trials, successes))
    assert prior is not None
    assert prior.alpha / (prior.alpha + prior.beta) == pytest.approx(0.05, rel=0.03)
    assert prior.alpha + prior.beta == pytest.approx(40, rel=0.1)


def test_by_hand() -> None:
    """Two of ten and eight of ten: rate 1/2; S = 10 · .09 · 2 = 1.8, so 1.8 / .25 − 1 = 6.2 over 20 − 10 − 1 = 9."""
    prior = fit_prior(sums(np.array([10, 10]), np.array([2, 8])))
    assert prior is not None
    strength = 9 / 6.2 - 1
    assert (prior.alpha, prior.beta) == pytest.approx((strength / 2, strength / 2))


@pytest.mark.parametrize(
    ("trials", "successes"),
    [([10, 10], [5, 5]), ([10, 10], [0, 0]), ([10, 10], [10, 10]), ([10], [4]), ([1, 1, 1], [0, 1, 1])],
    ids=["alike", "none", "all", "one group", "one trial each"],
)
def test_rates_that_do_not_differ_have_none(trials: list[int], successes: list[int]) -> None:
    assert fit_prior(sums(np.array(trials), np.array(successes))) is None


def test_no_groups_have_none() -> None:
    assert fit_prior(Trials(0, 0, 0, 0.0, 0.0)) is None


def test_the_posterior_adds_counts_to_the_prior() -> None:
    mean, low, high = Prior(2.0, 38.0).posterior(np.array([0, 60]), np.array([0, 8]))
    assert mean.tolist() == pytest.approx([0.05, 0.1])
    assert (low[1], high[1]) == pytest.approx(beta_distribution(10, 90).interval(0.95))
    assert low[0] < low[1]
