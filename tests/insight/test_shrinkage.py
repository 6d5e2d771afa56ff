"""The Beta prior by moments: what it must find where the truth is known."""

import numpy as np
import pytest

from app.insight.shrinkage import Prior, fit_prior, rate_of


def one_each(trials: list[int] | np.ndarray, successes: list[int] | np.ndarray) -> Prior | None:
    return fit_prior(np.array(trials), np.array(successes), np.ones(len(trials), np.int64))


def test_the_prior_that_rates_were_drawn_from_is_found() -> None:
    rng = np.random.default_rng(5)
    trials = rng.geometric(0.01, 20_000)
    successes = rng.binomial(trials, rng.beta(2.0, 38.0, 20_000))
    prior = one_each(trials, successes)
    assert prior is not None
    assert prior.alpha / (prior.alpha + prior.beta) == pytest.approx(0.05, rel=0.03)
    assert prior.alpha + prior.beta == pytest.approx(40, rel=0.1)


def test_by_hand() -> None:
    """Two of ten and eight of ten: rate 1/2; S = 10 · .09 · 2 = 1.8, so 1.8 / .25 − 1 = 6.2 over 20 − 10 − 1 = 9."""
    prior = one_each([10, 10], [2, 8])
    assert prior is not None
    strength = 9 / 6.2 - 1
    assert (prior.alpha, prior.beta) == pytest.approx((strength / 2, strength / 2))


def test_groups_of_few_trials_move_the_mean_alone() -> None:
    prior = one_each([10, 10, 9, 9, 1, 1], [2, 8, 0, 0, 0, 0])
    assert prior is not None
    strength = 9 / 6.2 - 1
    assert (prior.alpha, prior.beta) == pytest.approx((strength / 4, strength * 3 / 4))


def test_equal_groups_may_be_counted_together() -> None:
    together = fit_prior(np.array([10, 20, 20]), np.array([2, 5, 16]), np.array([3, 1, 2]))
    apart = one_each([10, 10, 10, 20, 20, 20], [2, 2, 2, 5, 16, 16])
    assert together is not None
    assert apart is not None
    assert (together.alpha, together.beta) == pytest.approx((apart.alpha, apart.beta))
    assert rate_of(np.array([10, 20]), np.array([2, 5]), np.array([3, 1])) == 11 / 50


@pytest.mark.parametrize(
    ("trials", "successes"),
    [([10, 10], [5, 5]), ([10, 10], [0, 0]), ([10, 10], [10, 10]), ([10], [4]), ([1, 1, 1], [0, 1, 1]), ([], [])],
    ids=["alike", "none", "all", "one group", "one trial each", "nothing"],
)
def test_rates_that_do_not_differ_have_none(trials: list[int], successes: list[int]) -> None:
    assert one_each(np.array(trials, np.int64), np.array(successes, np.int64)) is None


def test_the_posterior_adds_counts_to_the_prior() -> None:
    from scipy.stats import beta  # here: it takes most of a second to load, in each worker that collects tests

    mean, low, high = Prior(2.0, 38.0).posterior(np.array([0, 60]), np.array([0, 8]))
    assert mean.tolist() == pytest.approx([0.05, 0.1])
    assert (low[1], high[1]) == pytest.approx(beta(10, 90).interval(0.95))
    assert low[0] < low[1]
