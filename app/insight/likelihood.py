"""Maximum likelihood of positive parameters, with the errors of the estimates, or the reason why there are none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: Log-likelihood and its gradient, both by parameters (k,).
Likelihood = Callable[[Floats], tuple[float, Floats]]

LIMIT = 1e4  #: an estimate beyond 1 / LIMIT … LIMIT runs away: the likelihood has no maximum there
MAX_ERROR = 1.0  #: of the logarithm of a parameter; with more, its 95 % interval is wider than a factor of 50
MAX_SLOPE = 1e-4  #: of the mean log-likelihood at its maximum
STEP = 1e-4  #: relative, of differences
Z_95 = 1.959964  #: quantile of the normal distribution for 95 % intervals


@dataclass(frozen=True)
class NotIdentified:
    """The data don't determine the parameters; `reason` is a sentence without a full stop."""

    reason: str


@dataclass(frozen=True)
class Estimate:
    """Where the likelihood is largest.

    `parameters` (k,), all above 0; `covariance` (k, k) of their logarithms, from the observed information.
    """

    parameters: Floats
    covariance: Floats
    log_likelihood: float

    @property
    def standard_errors(self) -> Floats:
        """Of the parameters (k,), by the delta method."""
        return self.parameters * np.sqrt(np.diag(self.covariance))

    @property
    def intervals(self) -> Floats:
        """95 % intervals of the parameters (k, 2), normal in their logarithms."""
        spread = np.exp(Z_95 * np.sqrt(np.diag(self.covariance)))
        return np.stack([self.parameters / spread, self.parameters * spread], axis=1)


def maximise(
    likelihood: Likelihood,
    starts: Sequence[Sequence[float]],
    customers: float,
    names: Mapping[str, str],
    runaways: Mapping[tuple[str, bool], str],
) -> Estimate | NotIdentified:
    """The parameters under which the data are most likely.

    Parameters
    ----------
    likelihood
        Of all customers.
    starts
        Parameters to begin from; the best end is taken. Scaled so that values around 1 are usual.
    customers
        How many there are, by which the likelihood is scaled.
    names
        Of the parameters, each with what it tells.
    runaways
        What it means that a parameter falls to 0 (False) or grows without bound (True), by name and side.
    """
    # Imported where it is fitted: the stream reads segments from this room, and scipy.optimize takes half a second.
    from scipy.optimize import minimize

    def scaled(logs: Floats) -> tuple[float, Floats]:
        parameters = np.exp(logs)
        value, gradient = likelihood(parameters)
        return -value / customers, -gradient * parameters / customers

    edge = float(np.log(LIMIT))
    ends = [
        minimize(
            scaled,
            np.log(start),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-edge, edge)] * len(names),
            options={"maxiter": 1_000, "ftol": 1e-14, "gtol": 1e-9},
        )
        for start in starts
    ]
    logs: Floats = min(ends, key=lambda end: float(end.fun)).x
    for name, value in zip(names, logs, strict=True):
        if abs(value) > edge - 1e-3:
            told = "grows without bound" if value > 0 else "falls to 0"
            return NotIdentified(f"{name} {told}{runaways.get((name, bool(value > 0)), '')}")
    if np.abs(scaled(logs)[1]).max() > MAX_SLOPE:
        return NotIdentified("no maximum of the likelihood was found")
    information = customers * _jacobian(lambda at: scaled(at)[1], logs)
    information = (information + information.T) / 2
    if np.linalg.eigvalsh(information)[0] <= 0:
        return NotIdentified(f"the likelihood is flat: no single {', '.join(names)} fits best")
    covariance = np.linalg.inv(information)
    errors = np.sqrt(np.diag(covariance))
    worst = int(np.argmax(errors))
    if errors[worst] > MAX_ERROR:
        low, high = np.exp(logs[worst] + np.array([-Z_95, Z_95]) * errors[worst])
        name, tells = list(names.items())[worst]
        span = f"{_short(low)} to {_short(high)}"
        return NotIdentified(f"{tells} can't be told, since {name} may be anything from {span}")
    return Estimate(np.exp(logs).astype(np.float64), covariance.astype(np.float64), -customers * float(scaled(logs)[0]))


def _short(value: float) -> str:
    """Two digits that count: `0.0069`, `5,400,000`."""
    return f"{float(f'{value:.2g}'):,.10g}"


def gradients(function: Callable[[Floats], Floats], parameters: Floats) -> Floats:
    """How values (n,) change with the logarithms of the parameters (k,): (n, k).

    Summed over customers, these are the gradients of a sum: errors of totals and means follow from them exactly.
    """
    return _jacobian(lambda logs: function(np.exp(logs)), np.log(parameters))


def errors_of(changes: Floats, covariance: Floats) -> Floats:
    """Standard errors (n,) by the delta method, of values with such `gradients` (n, k)."""
    return np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", changes, covariance, changes), 0))


def _jacobian(function: Callable[[Floats], Any], at: Floats) -> Floats:
    columns = [function(at + step) - function(at - step) for step in STEP * np.eye(len(at))]
    return np.stack(columns, axis=-1) / (2 * STEP)
