"""A run made by hand, small and complete."""

from collections.abc import Callable
from typing import Any

import pytest

MakeRun = Callable[..., dict[str, Any]]


def metric(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}


def quality_row(model: str, part: str, mean: float) -> dict[str, Any]:
    names = [f"{name}_{k}" for name in ("hr", "ndcg", "mrr", "recall") for k in (10, 20)]
    metrics = {name: metric(mean) for name in names}
    coverage = 0.25 if part == "all" else None
    return {"task": "session", "model": model, "slice": part, "queries": 1500, **metrics, "coverage_10": coverage}


def exploration(brand: str = "acme") -> dict[str, Any]:
    kinds = {"view": 900, "cart": 60, "remove_from_cart": 0, "purchase": 40}
    return {
        "rows": {"read": 1012345, "kept": 1000, "duplicates": 7, "rejected": 3},
        "rejected": {"unknown event type": 3},
        "totals": {
            "users": 300,
            "products": 50,
            "sessions": 400,
            "first": "2019-10-01 00:00:00",
            "last": "2019-10-02 00:00:00",
        },
        "event_mix": [{"event_type": kind, "events": n, "share": n / 1000} for kind, n in kinds.items() if n],
        "missing": [
            {"column": "brand", "missing": 144, "share": 0.144},
            {"column": "price", "missing": 0, "share": 0.0},
        ],
        "prices_not_positive": 5,
        "by_day": [{"date": f"2019-10-0{day}", "events": 1000, **kinds} for day in (1, 2)],
        "by_hour": [{"hour": 9, "events": 1000, **kinds}, {"hour": 15, "events": 2000, **kinds}],
        "price_by_event_type": [{"event_type": "view", "mean": 288.98, "min": 0.0, "max": 2574.07, "events": 900}],
        "sessions": {"count": 400, "mean_events": 4.59, "median_events": 2.0, "max_events": 1159},
        "session_lengths": [{"events": 1, "sessions": 300}, {"events": 20, "sessions": 100}],
        "funnel": [
            {"step": "view", "sessions": 400, "share": 1.0},
            {"step": "cart", "sessions": 50, "share": 0.125},
            {"step": "purchase", "sessions": 30, "share": 0.075},
        ],
        "buying_sessions": 40,
        "direct_purchase_share": 0.35,
        "cohorts": [
            {"cohort": "2019-09-30", "week": 0, "users": 300, "share": 1.0},
            {"cohort": "2019-09-30", "week": 1, "users": 90, "share": 0.3},
        ],
        "top_categories": [{"main_category": "electronics", "events": 600, "purchases": 30, "revenue": 9000.5}],
        "top_brands": [{"brand": brand, "events": 500, "purchases": 20, "revenue": 7000.25}],
    }


def recommendations(brand: str = "acme") -> dict[str, Any]:
    return {
        "recommendations": 30,
        "users": 3,
        "without_price": 1,
        "highest_score": 9.0,
        "highest_price": 500.0,
        "scores": [
            {"low": 0.0, "high": 0.5, "recommendations": 20},
            {"low": 0.5, "high": 1.0, "recommendations": 10},
        ],
        "prices": [
            {"low": 0.0, "high": 250.0, "recommendations": 25},
            {"low": 250.0, "high": 500.0, "recommendations": 4},
        ],
        "grid": [
            {"score_bin": 0, "price_bin": 0, "recommendations": 20},
            {"score_bin": 1, "price_bin": 1, "recommendations": 4},
        ],
        "categories": [{"main_category": "electronics", "recommendations": 20, "mean_score": 0.5}],
        "brands": [{"brand": brand, "recommendations": 15, "mean_score": 0.4}],
        "unknown": {"categories": 10, "brands": 15},
        "sources": [{"source": "als", "recommendations": 30, "mean_score": 0.5}],
        "per_user": [{"recommendations": 10, "users": 3}],
        "per_user_cap": 50,
    }


def complete(brand: str = "acme") -> dict[str, Any]:
    """Every key of a run; `brand` is the name of the top brand."""
    segment = {
        "segment_id": 0,
        "segment": "VIP_Customers",
        "users": 30,
        "share": 0.1,
        "recency": 3.5,
        "frequency": 9.0,
        "monetary": 2310.5,
        "conversion_rate": 0.31,
        "cart_abandonment": 0.22,
        "unique_products": 31.0,
        "unique_categories": 9.0,
        "avg_price": None,
    }
    other = {**segment, "segment_id": 1, "segment": "New_Customers", "users": 270, "share": 0.9, "monetary": 0.0}
    return {
        "version": "20191101_081500",
        "created": "2019-11-01T08:15:00+00:00",
        "events_source": "events.csv",
        "synthetic": False,
        "timezone": "Europe/Moscow",
        "stages": [{"stage": "clean", "seconds": 125.4, "rows": 1000, "note": "one file"}],
        "exploration": exploration(brand),
        "segments": {"silhouette": 0.412, "segments": [segment, other]},
        "profiles": [{"profile": "cart_abandoner", "users": 12, "share": 0.04, "rule": f"two carts {brand}"}],
        "quality": {
            "test_from": "2019-10-31",
            "test_to": "2019-11-01",
            "tasks": {"session": "The next product of a session."},
            "rows": [
                quality_row(model, part, mean)
                for model, mean in (("blend", 0.3), ("als", 0.2), ("popularity", 0.1))
                for part in ("all", "warm", "cold", "segment:VIP_Customers")
            ],
            "rmse": 2.134,
        },
        "gate": {"published": True, "reason": "better overall", "champion": None},
        "recommendations": recommendations(brand),
        "paths": {"bundle": "models/20191101_081500", "report": "report.html"},
    }


@pytest.fixture(scope="session")
def make_run() -> MakeRun:
    """Makes a complete run anew; the argument names its top brand."""
    return complete
