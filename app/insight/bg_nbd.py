"""BG/NBD: how many customers are still customers, and how often they will buy.

Fader, Hardie and Lee, "Counting Your Customers the Easy Way: An Alternative to the Pareto/NBD Model", Marketing
Science 24 (2005). A customer buys at random at a rate of their own (gamma: r, alpha), and after each purchase leaves
for good with a probability of their own (beta: a, b). Own code: the maintained library, pymc-marketing, brings a
compiler and takes a row for each customer; lifetimes is archived, clvkit takes no weights.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import betaln, digamma, expit, gammaln, hyp2f1

from app.insight.likelihood import Estimate, Floats, NotIdentified, maximise

_BUYING, _LEAVING = "how often customers buy", "how readily customers leave"
NAMES = {"r": _BUYING, "alpha": _BUYING, "a": _LEAVING, "b": _LEAVING}
STARTS = ((1.0, 1.0, 1.0, 1.0), (0.2, 0.1, 0.5, 3.0), (2.0, 0.5, 0.05, 1.0))  #: alpha in mean ages
RUNAWAYS = {
    ("a", False): "; customers who only pause look like customers who never leave, so nothing tells who has left",
    ("b", False): "; customers leave with their first repeat purchase or never, and the data can't tell which",
    ("a", True): "; all customers leave alike, so their differences can't be told",
    ("b", True): "; all customers leave alike, so their differences can't be told",
    ("r", True): "; all customers buy at the same rate, so their differences can't be told",
    ("alpha", True): "; all customers buy at the same rate, so their differences can't be told",
    ("r", False): "; nearly nobody buys again",
}
NEAR = 1e-4  #: at a = 1 and a + b = 1 the formula of the expectation is 0 / 0; this near, the mean of both sides


@dataclass(frozen=True)
class Histories:
    """What BG/NBD needs to know of customers, equal ones together; arrays (n,).

    `frequency`: purchases after the first, at distinct times; `recency`: time from the first to the last one, 0
    without a repeat purchase; `age`: time from the first purchase to the end of the data, in the same unit;
    `customers`: how many have this history.
    """

    frequency: Floats
    recency: Floats
    age: Floats
    customers: Floats

    def __post_init__(self) -> None:
        repeated = self.frequency > 0
        if np.any(self.recency > self.age) or np.any((self.recency > 0) != repeated):
            raise ValueError("the last purchase lies between the first and the end, and after the first if repeated")


@dataclass(frozen=True)
class BgNbd:
    """The model with its parameters, in the unit of time of the histories that it was fitted on."""

    r: float
    alpha: float
    a: float
    b: float

    @classmethod
    def of(cls, parameters: Floats) -> Self:
        return cls(*map(float, parameters))

    def log_likelihood(self, histories: Histories) -> float:
        """Of all customers: equation (6) of the paper, in logarithms."""
        return _likelihood(self, histories)[0]

    def p_alive(self, histories: Histories) -> Floats:
        """Probability (n,) that a customer is still one.

        1 without a repeat purchase: in this model nobody leaves before.
        """
        return expit(-self._log_odds_gone(histories))

    def expected_purchases(self, histories: Histories, duration: float) -> Floats:
        """Purchases (n,) that a customer is expected to make in the time after the end: equation (10)."""
        if abs(self.a - 1) < NEAR or abs(self.a + self.b - 1) < NEAR:
            sides = (BgNbd(self.r, self.alpha, self.a + side, self.b) for side in (-2 * NEAR, 2 * NEAR))
            return np.mean([side.expected_purchases(histories, duration) for side in sides], axis=0)
        x, exposure = histories.frequency, self.alpha + histories.age
        total = self.a + self.b + x - 1
        z = duration / (exposure + duration)
        # Euler's transformation of the paper's 2F1, without its powers of r + x, which overflow for frequent buyers.
        series = (1 - z) ** (self.a - 1) * _hyp2f1(self.a + self.b - 1 - self.r, self.a - 1, total, z)
        return total / (self.a - 1) * (1 - series) * self.p_alive(histories)

    def _log_odds_gone(self, histories: Histories) -> Floats:
        x, exposure = histories.frequency, self.alpha + histories.age
        left = np.log(self.a) - np.log(self.b + np.maximum(x, 1) - 1)
        idle = (self.r + x) * np.log(exposure / (self.alpha + histories.recency))
        return np.where(x > 0, left + idle, -np.inf)


def _hyp2f1(a: float, b: float, c: Floats, z: Floats) -> Floats:
    """Gauss's function (n,), also where SciPy's overflows: with a large c, and z near 1."""
    found = np.asarray(hyp2f1(a, b, c, z))
    lost = ~np.isfinite(found)
    if lost.any():
        c, z = c[lost], z[lost]
        total, term, k = np.ones_like(z), np.ones_like(z), 0
        while np.any(np.abs(term) > np.finfo(float).eps * np.abs(total)):
            term = term * (a + k) * (b + k) / ((c + k) * (k + 1)) * z
            total, k = total + term, k + 1
        found[lost] = total
    return found


def fit_bg_nbd(histories: Histories) -> tuple[BgNbd, Estimate] | NotIdentified:
    """The model that fits best.

    Parameters
    ----------
    histories
        Of all customers; those who bought once belong to them.
    """
    customers = float(histories.customers.sum())
    if not np.any(histories.customers[histories.frequency > 0]):
        return NotIdentified("nobody bought a second time")
    unit = float(np.average(histories.age, weights=histories.customers))
    scaled = Histories(histories.frequency, histories.recency / unit, histories.age / unit, histories.customers)
    found = maximise(lambda at: _likelihood(BgNbd.of(at), scaled), STARTS, customers, NAMES, RUNAWAYS)
    if isinstance(found, NotIdentified):
        return found
    model = BgNbd.of(found.parameters * np.array([1, unit, 1, 1]))
    parameters = np.array([model.r, model.alpha, model.a, model.b])
    return model, Estimate(parameters, found.covariance, model.log_likelihood(histories))


def _likelihood(model: BgNbd, histories: Histories) -> tuple[float, Floats]:
    """Log-likelihood and its gradient (4,)."""
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    x, weights = histories.frequency, histories.customers
    exposure, bought_until = alpha + histories.age, alpha + histories.recency
    gone = model._log_odds_gone(histories)
    p_gone = expit(gone)
    value = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x) - betaln(a, b)
    value = value - (r + x) * np.log(exposure) + np.logaddexp(0, gone)
    exposed = (1 - p_gone) * np.log(exposure) + p_gone * np.log(bought_until)
    both = digamma(a + b) - digamma(a + b + x)
    gradient = [
        digamma(r + x) - digamma(r) + np.log(alpha) - exposed,
        r / alpha - (r + x) * ((1 - p_gone) / exposure + p_gone / bought_until),
        both + p_gone / a,
        both + digamma(b + x) - digamma(b) - p_gone / (b + np.maximum(x, 1) - 1),
    ]
    return float(weights @ value), np.array([weights @ change for change in gradient])
