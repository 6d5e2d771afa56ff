"""Flux that holds two variants against each other, by the formulas of `app.evaluate.proportions`."""

from app.evaluate.proportions import FEWEST, Z
from app.monitor.dashboards.flux import points
from app.monitor.schema import ATTRIBUTED_LISTS

_WILSON = f"""import "math"

end = (k, n, sign) => {{
  z2 = {Z} * {Z}
  p = k / n
  return (p + z2 / (2.0 * n) + sign * {Z} * math.sqrt(x: p * (1.0 - p) / n + z2 / (4.0 * n * n))) / (1.0 + z2 / n)
}}

"""


def by_variant(what: str) -> str:
    """A row for each experiment and variant: lists, the share of them that `what` came of, its interval."""
    return (
        f"{_WILSON}{_counts(what)}"
        f"""
  |> map(fn: (r) => ({{
    experiment: r.experiment,
    variant: r.variant,
    answered: r.answered,
    rate: float(v: r.{what}) / float(v: r.answered),
    low: end(k: float(v: r.{what}), n: float(v: r.answered), sign: -1.0),
    high: end(k: float(v: r.{what}), n: float(v: r.answered), sign: 1.0),
  }}))"""
    )


def against(what: str) -> str:
    """A row for each experiment: the difference of the shares, its interval, and what it says."""
    return (
        f"{_WILSON}{_counts(what)}"
        f"""
  |> group(columns: ["experiment"])
  |> reduce(
    identity: {{n: 0.0, k: 0.0, other_n: 0.0, other_k: 0.0}},
    fn: (r, accumulator) => ({{
      n: if r.variant == "challenger" then float(v: r.answered) else accumulator.n,
      k: if r.variant == "challenger" then float(v: r.{what}) else accumulator.k,
      other_n: if r.variant == "champion" then float(v: r.answered) else accumulator.other_n,
      other_k: if r.variant == "champion" then float(v: r.{what}) else accumulator.other_k,
    }}),
  )
  |> filter(fn: (r) => r.n > 0.0 and r.other_n > 0.0)
  |> map(fn: (r) => {{
    p = r.k / r.n
    other = r.other_k / r.other_n
    below = p - end(k: r.k, n: r.n, sign: -1.0)
    above = end(k: r.k, n: r.n, sign: 1.0) - p
    other_below = other - end(k: r.other_k, n: r.other_n, sign: -1.0)
    other_above = end(k: r.other_k, n: r.other_n, sign: 1.0) - other
    low = p - other - math.sqrt(x: below * below + other_above * other_above)
    high = p - other + math.sqrt(x: above * above + other_below * other_below)
    least = if r.k < r.other_k then r.k else r.other_k
    verdict = if least < {FEWEST}.0 then "too few data: " + string(v: int(v: least)) + " of {FEWEST}"
      else if low > 0.0 then "challenger better"
      else if high < 0.0 then "champion better"
      else "no difference seen"
    return {{experiment: r.experiment, difference: p - other, low: low, high: high, verdict: verdict}}
  }})
  |> group()"""
    )


def _counts(what: str) -> str:
    """A row for each experiment and variant with `answered` and `what`, in one table."""
    return (
        f"{points(ATTRIBUTED_LISTS, 'answered', what)}"
        """
  |> filter(fn: (r) => r.experiment != "none")
  |> group(columns: ["experiment", "variant", "_field"])
  |> sum()
  |> pivot(rowKey: ["experiment", "variant"], columnKey: ["_field"], valueColumn: "_value")
  |> group()
  |> filter(fn: (r) => r.answered > 0)
  |> sort(columns: ["experiment", "variant"])"""
    )
