"""The closing summary, of the run made by hand and of runs that leave parts out."""

from pathlib import Path

from app.evaluate.results import Verdict
from app.train.summary import summary_lines
from tests.finished_run import finished_run


def test_a_training_in_lines() -> None:
    assert summary_lines(finished_run()) == [
        "1,012,345 rows read: 1,000 kept, 7 exact duplicates dropped, 3 rejected",
        "  rejected, unknown event type: 3",
        "  left out, cancelled: 2",
        "900 view, 60 cart, 40 purchase",
        "321 missing category codes, 144 missing brands, 5 prices <= 0",
        "300 users, 50 products, 400 sessions, 2019-10-01 00:00:00 to 2019-10-02 00:00:00",
        "Sessions that reach view: 400, cart: 50, purchase: 30",
        "15 cart lines left behind, worth 4,321.75",
        "Segment 0 VIP_Customers: 30 users (10.0%)",
        "Segment 1 New_Customers: 270 users (90.0%)",
        "Profile cart_abandoner: 12 users (4.0%)",
        "Champions: 10 customers, 75.0% of spending",
        "Hibernating: 30 customers, 25.0% of spending",
        "62.5% of 40 customers are expected to be customers still, and to make 80 purchases in 90 days",
        "Frequency and spend correlate (0.31): values mislead",
        "Task session, blend: NDCG@10 0.3000 [0.2900, 0.3100], HR@10 0.3000, 1,500 queries",
        "Task session, most popular: NDCG@10 0.0500 [0.0400, 0.0600], HR@10 0.0500, 1,500 queries",
        "Lists are ordered by LambdaMART in the session task, else by reciprocal rank. It is better.",
        "Bundle 20191101_081500 published: better overall",
        "Bundle              models/20191101_081500",
        "Report              report.html",
        "Cleaned events      processed/cleaned_data_20191101_081500",
        "All figures (JSON)  run.json",
    ]


def test_a_refusal_and_made_up_data_are_told() -> None:
    run = finished_run().model_copy(
        update={"synthetic": True, "gate": Verdict(published=False, reason="worse", champion="a")}
    )
    lines = summary_lines(run)
    assert "Bundle 20191101_081500 NOT published: worse" in lines
    assert "Synthetic data: these figures say nothing about a real shop." in lines


def test_a_run_that_only_cleaned() -> None:
    parts = (
        "exploration",
        "behaviour",
        "pairs",
        "segments",
        "profiles",
        "customers",
        "quality",
        "ranker",
        "gate",
        "recommendations",
    )
    run = finished_run().model_copy(update=dict.fromkeys(parts))
    paths = run.paths.model_copy(update={"bundle": None, "rejected": Path("processed/rejected_x")})
    assert summary_lines(run.model_copy(update={"paths": paths})) == [
        "1,012,345 rows read: 1,000 kept, 7 exact duplicates dropped, 3 rejected",
        "  rejected, unknown event type: 3",
        "  left out, cancelled: 2",
        "Report              report.html",
        "Cleaned events      processed/cleaned_data_20191101_081500",
        "Rejected rows       processed/rejected_x",
        "All figures (JSON)  run.json",
    ]
