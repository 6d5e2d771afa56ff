"""Value: the models of customer value fitted on a log's histories, and what they say of each customer."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from app.core.duck import Connection, Relation, query
from app.insight.bg_nbd import BgNbd, Histories, fit_bg_nbd
from app.insight.gamma_gamma import GammaGamma, Spending, fit_gamma_gamma
from app.insight.likelihood import Z_95, Estimate, Floats, NotIdentified, errors_of, gradients

WEEK = 7.0  #: days; times of the models are in weeks, as in the literature
SHORT, LONG = 30, 90  #: days ahead
#: What of a customer is forecast by both models; the others by BG/NBD alone.
VALUE = "value_90"
FORECASTS = ("p_alive", "purchases_30", "purchases_90", VALUE)
PARAMETERS = ("r", "alpha", "a", "b", "p", "q", "v")


@dataclass(frozen=True)
class Fitted:
    """Both models of a log, or why there are none; `bought` in weeks, `spent` in the shop's currency."""

    bought: tuple[BgNbd, Estimate] | NotIdentified
    spent: tuple[GammaGamma, Estimate] | NotIdentified

    @property
    def covariance(self) -> Floats:
        """Of the logarithms of `PARAMETERS` (7, 7); the models are fitted apart. 0 where there is no model."""
        found = np.zeros((len(PARAMETERS), len(PARAMETERS)))
        if not isinstance(self.bought, NotIdentified):
            found[:4, :4] = self.bought[1].covariance
        if not isinstance(self.spent, NotIdentified):
            found[4:, 4:] = self.spent[1].covariance
        return found


def fit_value(histories: Histories, spending: Spending) -> Fitted:
    """Fit both; `histories` in weeks."""
    return Fitted(fit_bg_nbd(histories), fit_gamma_gamma(spending))


def changes(forecast: str) -> tuple[str, ...]:
    """Columns that tell how a forecast changes with the logarithms of `PARAMETERS`, in their order."""
    return tuple(f"{forecast}_by_{name}" for name in PARAMETERS)


def forecasts(connection: Connection, histories: Relation, fitted: Fitted) -> Relation:
    """What the models say of each customer.

    Parameters
    ----------
    connection
        Of the histories.
    histories
        `app.insight.histories.buying_histories`, of days.
    fitted
        The models; a forecast that lacks its model is null.

    Returns
    -------
    Relation
        user_id; `FORECASTS`: p_alive (0 to 1), purchases_30 and purchases_90 (expected in so many days), value_90
        (what they are expected to bring, shop currency); each with `_low` and `_high`, its 95 % interval as far as
        the parameters are uncertain; expected_spend (on a purchase, shop currency); and `changes` of each forecast.
    """
    found = histories.select("user_id, frequency, recency, age, repeat_cents").fetchnumpy()
    columns: dict[str, Floats | None] = _of_customers(found, fitted)
    arrays = {
        name: pa.nulls(len(found["user_id"]), pa.float64()) if values is None else pa.array(values, pa.float64())
        for name, values in columns.items()
    }
    return connection.from_arrow(pa.table({"user_id": pa.array(found["user_id"], pa.int64()), **arrays}))


def _of_customers(found: dict[str, np.ndarray], fitted: Fitted) -> dict[str, Floats | None]:
    n = len(found["user_id"])
    values: dict[str, Floats | None] = dict.fromkeys(FORECASTS)
    by: dict[str, Floats] = {name: np.zeros((n, len(PARAMETERS))) for name in FORECASTS}
    spend: Floats | None = None
    if not isinstance(fitted.bought, NotIdentified):
        for name, (value, change) in _bought(found, fitted.bought[1]).items():
            values[name], by[name][:, :4] = value, change
    if not isinstance(fitted.spent, NotIdentified):
        spend, change = _spent(found, *fitted.spent)
        purchases = values["purchases_90"]
        if purchases is not None:
            values[VALUE] = purchases * spend
            by[VALUE][:, :4] = by["purchases_90"][:, :4] * spend[:, None]
            by[VALUE][:, 4:] = change * purchases[:, None]
    columns: dict[str, Floats | None] = {"expected_spend": spend}
    for name in FORECASTS:
        low, high = limits(name, values[name], errors_of(by[name], fitted.covariance))
        columns |= {name: values[name], f"{name}_low": low, f"{name}_high": high}
        columns |= dict(zip(changes(name), by[name].T, strict=True))
    return columns


def _bought(found: dict[str, np.ndarray], estimate: Estimate) -> dict[str, tuple[Floats, Floats]]:
    """Forecasts of BG/NBD (n,) with their gradients (n, 4); equal histories are worked out once."""
    columns = [np.asarray(found[name], np.float64) for name in ("frequency", "recency", "age")]
    distinct, place = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    frequency, recency, age = distinct.T
    histories = Histories(frequency, recency / WEEK, age / WEEK, np.ones(len(distinct)))
    asked = {
        "p_alive": lambda at: BgNbd.of(at).p_alive(histories),
        "purchases_30": lambda at: BgNbd.of(at).expected_purchases(histories, SHORT / WEEK),
        "purchases_90": lambda at: BgNbd.of(at).expected_purchases(histories, LONG / WEEK),
    }
    at, place = estimate.parameters, place.ravel()
    return {name: (value(at)[place], gradients(value, at)[place]) for name, value in asked.items()}


def _spent(found: dict[str, np.ndarray], model: GammaGamma, estimate: Estimate) -> tuple[Floats, Floats]:
    """Spend that is expected on a purchase (n,) with its gradients (n, 3); purchases without a price tell nothing."""
    money = np.asarray(found["repeat_cents"], np.float64) / 100
    purchases = np.where(money > 0, np.asarray(found["frequency"], np.float64), 0)
    mean = money / np.maximum(purchases, 1)
    return model.expected_spend(purchases, mean), gradients(
        lambda at: GammaGamma.of(at).expected_spend(purchases, mean), estimate.parameters
    )


def limits(name: str, value: Floats | None, error: Floats) -> tuple[Floats | None, Floats | None]:
    """95 % interval of forecasts (n,): normal in their logarithms, of a probability in the log odds."""
    if value is None:
        return None, None
    with np.errstate(divide="ignore", invalid="ignore"):
        if name == "p_alive":
            # who has bought once is alive for sure
            spread = np.where((value > 0) & (value < 1), Z_95 * error / (value * (1 - value)), 0)
            odds = value / (1 - value)
            low, high = 1 / (1 + np.exp(spread) / odds), 1 / (1 + np.exp(-spread) / odds)
        else:
            spread = np.where(value > 0, Z_95 * error / value, 0)
            low, high = value * np.exp(-spread), value * np.exp(spread)
    return low, high


def forecast_sums(customers: Relation, group: str) -> Relation:
    """Sums over the customers of a part by what they fall under, for `app.insight.value_figures`.

    Parameters
    ----------
    customers
        `forecasts` with the column of the group.
    group
        "rfm", null for those who have not spent, or "segment_id".
    """
    sums = ", ".join(f"fsum({name}) as {name}" for name in summed())
    return query(f"select {group}, count(*) as customers, {sums} from customers group by {group}", customers=customers)


def summed() -> tuple[str, ...]:
    """Columns of `forecast_sums` that are sums."""
    return ("expected_spend", *(column for name in FORECASTS for column in (name, *changes(name))))
