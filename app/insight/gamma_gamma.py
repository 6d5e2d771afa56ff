"""Gamma-Gamma: what a purchase of a customer is worth.

Fader and Hardie, "The Gamma-Gamma Model of Monetary Value" (2013). A customer's purchases vary around a mean of their
own (gamma: p), and the means differ between customers (gamma: q, v). How much is spent must not depend on how often:
`correlation` tells whether it does.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import digamma, gammaln

from app.insight.likelihood import Estimate, Floats, NotIdentified, maximise

_DIFFERENT = "how spend differs between customers"
NAMES = {"p": "how a customer's purchases vary", "q": _DIFFERENT, "v": _DIFFERENT}
MAX_CORRELATION = 0.15  #: of frequency and spend, either way; beyond it the model's values mislead
STARTS = ((2.0, 3.0, 1.0), (10.0, 2.0, 0.2), (0.5, 10.0, 10.0))  #: v in mean spends
RUNAWAYS = {
    ("p", True): "; a customer's purchases are all alike",
    ("q", True): "; customers spend all alike, so their differences can't be told",
    ("v", True): "; customers spend all alike, so their differences can't be told",
}


@dataclass(frozen=True)
class Spending:
    """What Gamma-Gamma needs to know of repeat buyers, similar ones together; arrays (n,).

    `purchases`: repeat purchases of each; `mean`: what each spends on one of them, in the mean of the customers;
    `log_mean`: the mean of its logarithm; `customers`: how many they are.
    """

    purchases: Floats
    mean: Floats
    log_mean: Floats
    customers: Floats

    def __post_init__(self) -> None:
        if np.any(self.purchases <= 0) or np.any(self.mean <= 0):
            raise ValueError("only repeat buyers who spend something are told of")

    @property
    def correlation(self) -> float | None:
        """Pearson's, of purchases and mean spend; None where one of them is the same for all.

        The model takes it to be 0; on CDNOW it is .11, which its authors let pass.
        """
        if not len(self.mean):
            return None
        columns = np.stack([self.purchases, self.mean])
        centred = columns - np.average(columns, axis=1, weights=self.customers)[:, None]
        products = (centred * self.customers) @ centred.T
        scale = np.sqrt(products[0, 0] * products[1, 1])
        return float(products[0, 1] / scale) if scale > 0 else None


@dataclass(frozen=True)
class GammaGamma:
    """The model with its parameters; `v` is in the currency of the spending."""

    p: float
    q: float
    v: float

    @classmethod
    def of(cls, parameters: Floats) -> Self:
        return cls(*map(float, parameters))

    def log_likelihood(self, spending: Spending) -> float:
        """Of all repeat buyers: equation (1a) of the note, in logarithms."""
        return _likelihood(self, spending)[0]

    @property
    def mean_spend(self) -> float:
        """Of a purchase, over all customers; what is expected of one without a repeat purchase."""
        return self.p * self.v / (self.q - 1)

    def expected_spend(self, purchases: Floats, mean: Floats) -> Floats:
        """What a customer is expected to spend on a purchase (n,): equation (5).

        Between the customer's own mean and that of all, nearer to their own the more they have bought; `mean` is not
        looked at where `purchases` is 0.
        """
        spent = np.where(purchases > 0, purchases * mean, 0)
        return self.p * (self.v + spent) / (self.p * purchases + self.q - 1)


def fit_gamma_gamma(spending: Spending) -> tuple[GammaGamma, Estimate] | NotIdentified:
    """The model that fits best."""
    customers = float(spending.customers.sum())
    if not customers:
        return NotIdentified("nobody spent money on a second purchase")
    unit = float(np.average(spending.mean, weights=spending.customers))
    logs = spending.log_mean - np.log(unit)
    scaled = Spending(spending.purchases, spending.mean / unit, logs, spending.customers)
    found = maximise(lambda at: _likelihood(GammaGamma.of(at), scaled), STARTS, customers, NAMES, RUNAWAYS)
    if isinstance(found, NotIdentified):
        return found
    model = GammaGamma.of(found.parameters * np.array([1, 1, unit]))
    if model.q <= 1:
        return NotIdentified(f"q is {model.q:.2f}: a few customers spend so much that the mean of all has no bound")
    parameters = np.array([model.p, model.q, model.v])
    return model, Estimate(parameters, found.covariance, model.log_likelihood(spending))


def _likelihood(model: GammaGamma, spending: Spending) -> tuple[float, Floats]:
    """Log-likelihood and its gradient (3,)."""
    p, q, v = model.p, model.q, model.v
    x, z, weights = spending.purchases, spending.mean, spending.customers
    shape, total = p * x, np.log(v + x * z)
    value = gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(v) + shape * np.log(x)
    value = value + (shape - 1) * spending.log_mean - (shape + q) * total
    gradient = [
        x * (digamma(shape + q) - digamma(shape) + np.log(x) + spending.log_mean - total),
        digamma(shape + q) - digamma(q) + np.log(v) - total,
        q / v - (shape + q) / (v + x * z),
    ]
    return float(weights @ value), np.array([weights @ change for change in gradient])
