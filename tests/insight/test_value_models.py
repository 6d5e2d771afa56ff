"""BG/NBD and Gamma-Gamma: answers by hand, by integration, by simulation; and what is said where there is none."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import roots_jacobi

from app.insight.bg_nbd import BgNbd, Histories, fit_bg_nbd
from app.insight.gamma_gamma import GammaGamma, fit_gamma_gamma
from app.insight.likelihood import NotIdentified, _short, errors_of, gradients
from tests.insight.spending import exact

PAPER = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)  # CDNOW, weeks
POSITIVE = st.floats(0.05, 20)


def histories(*rows: tuple[float, float, float, float]) -> Histories:
    return Histories(*np.array(rows, float).T)


def test_the_likelihood_of_one_purchase_is_that_nobody_came_again() -> None:
    """(alpha / (alpha + T)) ** r: with r 2, alpha 3, T 6, a ninth."""
    model = BgNbd(2, 3, 1, 1)
    assert model.log_likelihood(histories((0, 0, 6, 1))) == pytest.approx(np.log(1 / 9))


def test_the_likelihood_of_one_repeat_purchase() -> None:
    """With r = alpha = a = b = 1, at 1 of 3: lambda² e^(-3 lambda) (1 - p) + lambda e^(-lambda) p over both priors.

    Alive: half of 1 / (1 + 3)²; gone: half of 1 / (1 + 1)².
    """
    expected = 0.5 / 16 + 0.5 / 4
    model, one = BgNbd(1, 1, 1, 1), histories((1, 1, 3, 1))
    assert model.log_likelihood(one) == pytest.approx(np.log(expected))
    assert model.p_alive(one) == pytest.approx((0.5 / 16) / expected)


def test_equal_customers_may_be_put_together() -> None:
    model, once = PAPER, histories((2, 5, 9, 1))
    assert model.log_likelihood(replace(once, customers=np.array([7.0]))) == pytest.approx(
        7 * model.log_likelihood(once)
    )


def test_who_bought_once_is_alive_and_who_fell_silent_less_so() -> None:
    alive = PAPER.p_alive(histories((0, 0, 39, 1), (9, 38, 39, 1), (9, 10, 39, 1)))
    assert alive[0] == 1
    assert alive[1] > 0.9
    assert alive[2] < 0.01


def test_the_papers_example() -> None:
    """Fader, Hardie and Lee: purchases in the next 39 weeks of a customer with 2, the last in week 30.43 of 38.86."""
    one = histories((2, 30.43, 38.86, 1))
    assert PAPER.expected_purchases(one, 39) == pytest.approx(1.226, abs=5e-4)
    assert PAPER.p_alive(one) == pytest.approx(0.7266, abs=5e-4)


@settings(deadline=None, max_examples=50)
@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE, st.integers(0, 100), st.floats(0.1, 50), st.floats(0.1, 50))
@example(0.05, 1.5, 0.05, 6.45, 96, 0.1, 49.5)  # SciPy's 2F1 overflows here
def test_expected_purchases_are_the_integral(
    r: float, alpha: float, a: float, b: float, x: int, age: float, duration: float
) -> None:
    """Of (1 - e^(-lambda p t)) / p over what is known of lambda and p, while alive."""
    model, one = BgNbd(r, alpha, a, b), histories((x, age / 2 if x else 0, age, 1))
    nodes, weights = roots_jacobi(300, b + x - 1, a - 1)
    p = (nodes + 1) / 2
    inner = -np.expm1(-(r + x) * np.log1p(p * duration / (alpha + age))) / p
    expected = weights @ inner / weights.sum() * model.p_alive(one)
    assert model.expected_purchases(one, duration) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("a", "b"), [(1.0, 2.0), (0.25, 0.75)])
def test_expected_purchases_where_the_formula_is_nought_by_nought(a: float, b: float) -> None:
    once = histories((0, 0, 10, 1))
    here, beside = BgNbd(0.5, 4, a, b), BgNbd(0.5, 4, a + 1e-3, b)
    assert here.expected_purchases(once, 20) == pytest.approx(beside.expected_purchases(once, 20), rel=2e-3)


def simulated(model: BgNbd, customers: int, age: float, seed: int = 1) -> Histories:
    rng = np.random.default_rng(seed)
    rows = []
    for rate, leaves in zip(
        rng.gamma(model.r, 1 / model.alpha, customers), rng.beta(model.a, model.b, customers), strict=True
    ):
        x, last = 0, 0.0
        while (at := last + rng.exponential(1 / rate)) <= age:
            x, last = x + 1, at
            if rng.random() < leaves:
                break
        rows.append((x, last, age, 1.0))
    return histories(*rows)


def test_what_was_simulated_is_found_within_its_errors() -> None:
    truth = BgNbd(r=0.8, alpha=6.0, a=0.9, b=2.5)
    found = fit_bg_nbd(simulated(truth, 5_000, 40))
    assert not isinstance(found, NotIdentified)
    _, estimate = found
    within = np.abs(np.log(estimate.parameters / [0.8, 6.0, 0.9, 2.5])) / np.sqrt(np.diag(estimate.covariance))
    assert np.all(within < 3)
    assert np.all(estimate.intervals[:, 0] < estimate.parameters)
    assert np.all(estimate.intervals[:, 1] > estimate.parameters)


def test_customers_who_never_leave_are_not_identified() -> None:
    """Gamma rates and nobody leaves: a falls to 0."""
    rng = np.random.default_rng(3)
    rates = rng.gamma(1.0, 1 / 5.0, 2_000)
    counts = rng.poisson(rates * 50)
    last = 50 * rng.random(2_000) ** (1 / np.maximum(counts, 1))
    rows = [(x, t if x else 0, 50, 1) for x, t in zip(counts, last, strict=True)]
    found = fit_bg_nbd(histories(*rows))
    assert isinstance(found, NotIdentified)
    assert "a falls to 0" in found.reason
    assert "who has left" in found.reason


def test_too_few_customers_are_not_identified() -> None:
    found = fit_bg_nbd(simulated(PAPER, 60, 39))
    assert isinstance(found, NotIdentified)


def test_ends_of_an_interval_are_written_in_full() -> None:
    assert [_short(value) for value in (0.00691, 0.5, 12.4, 5_412_345.0)] == ["0.0069", "0.5", "12", "5,400,000"]


def test_without_a_repeat_purchase_there_is_nothing_to_fit() -> None:
    assert fit_bg_nbd(histories((0, 0, 6, 100))) == NotIdentified("nobody bought a second time")


def test_impossible_histories_are_refused() -> None:
    with pytest.raises(ValueError, match="between the first and the end"):
        histories((1, 5, 4, 1))
    with pytest.raises(ValueError, match="after the first if repeated"):
        histories((1, 0, 4, 1))


def test_the_likelihood_of_spending() -> None:
    """p = q = v = 1, two purchases of 1 in the mean: x^x z^(x - 1) Gamma(3) / Gamma(2) / (1 + 2)³ = 8 / 27."""
    spending = exact(np.array([2.0]), np.array([1.0]))
    assert GammaGamma(1, 1, 1).log_likelihood(spending) == pytest.approx(np.log(8 / 27))


def test_expected_spend_lies_between_own_mean_and_that_of_all() -> None:
    """p 6, q 4, v 15: all spend 30. After one of 60: 6 × 75 / 9; after nine: 6 × 555 / 57."""
    model = GammaGamma(6, 4, 15)
    assert model.mean_spend == pytest.approx(30)
    found = model.expected_spend(np.array([0.0, 1.0, 9.0]), np.array([np.nan, 60.0, 60.0]))
    assert found == pytest.approx([30, 50, 6 * 555 / 57])


def test_simulated_spending_is_found_within_its_errors_and_bins_change_nothing() -> None:
    rng = np.random.default_rng(5)
    purchases = rng.integers(1, 8, 4_000).astype(float)
    mean = rng.gamma(6 * purchases) / purchases * (1 / rng.gamma(4, 1 / 15.0, 4_000))
    found = fit_gamma_gamma(exact(purchases, mean))
    assert not isinstance(found, NotIdentified)
    _, estimate = found
    within = np.abs(np.log(estimate.parameters / [6, 4, 15])) / np.sqrt(np.diag(estimate.covariance))
    assert np.all(within < 3)


def test_spending_all_alike_is_not_identified() -> None:
    purchases = np.full(500, 3.0)
    mean = np.random.default_rng(7).gamma(30, 1, 500)
    found = fit_gamma_gamma(exact(purchases, mean))
    assert isinstance(found, NotIdentified)


def test_errors_of_values_follow_from_those_of_the_parameters() -> None:
    """x² of a parameter known to 10 % is known to 20 %."""
    changes = gradients(lambda at: at**2, np.array([3.0]))
    assert changes == pytest.approx(np.array([[18.0]]), rel=1e-4)
    assert errors_of(changes, np.array([[0.01]])) == pytest.approx([1.8], rel=1e-4)
