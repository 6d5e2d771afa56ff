"""The result of a training, made by hand: small, complete, and of whole numbers that can be followed."""

from datetime import UTC, date, datetime
from pathlib import Path

from app.evaluate.names import METRICS, SESSION
from app.evaluate.results import FeatureGain, MetricInterval, Quality, QualityRow, RankerChoice, Verdict
from app.insight.behaviour_results import (
    Behaviour,
    CartOutcome,
    Carts,
    CartTimes,
    Funnel,
    FunnelGroup,
    Instead,
    Journeys,
    LeftBehind,
    Performance,
    ProductRow,
    ShopRate,
    Transition,
    Waited,
)
from app.insight.customer_results import (
    Cohort,
    Customers,
    Forecast,
    Holdout,
    HoldoutRow,
    Lifecycle,
    LifecycleRow,
    ModelFit,
    Parameter,
    PeriodCohorts,
    RfmRow,
    Value,
    ValueRow,
)
from app.insight.results import (
    Bin,
    Cell,
    DayRow,
    EventFigures,
    EventMixRow,
    Exploration,
    HourRow,
    LeaderRow,
    MissingRow,
    Move,
    Movement,
    PerUserRow,
    PriceRow,
    ProfileRow,
    RecommendationFigures,
    RecommendedRow,
    SegmentRow,
    Segments,
    SessionFigures,
    SessionLengthRow,
    TellingFeature,
    TriedNumber,
)
from app.results.run import Cleaning, Paths, RunResult, StageRun
from app.serve.segments import Means

KINDS = {"view": 900, "cart": 60, "remove_from_cart": 0, "purchase": 40}


def finished_run(brand: str = "acme") -> RunResult:
    """A run with every part; `brand` is the name of its top brand."""
    return RunResult(
        version="20191101_081500",
        created=datetime(2019, 11, 1, 8, 15, tzinfo=UTC),
        timezone="Europe/Moscow",
        synthetic=False,
        events_source="events.csv",
        cleaning=Cleaning(
            read=1_012_345,
            kept=1_000,
            duplicates=7,
            rejected=3,
            reasons={"unknown event type": 3},
            left_out={"cancelled": 2},
        ),
        exploration=exploration(brand),
        behaviour=behaviour(brand),
        pairs=700,
        segments=segments(),
        profiles=(ProfileRow(profile="cart_abandoner", users=12, share=0.04, rule=f"two carts {brand}"),),
        customers=customers(),
        quality=Quality(
            test_from=datetime(2019, 10, 31),
            test_to=datetime(2019, 11, 1),
            tasks={SESSION: "The next product of a session."},
            rows=tuple(
                quality_row(model, part, mean)
                for model, mean in (
                    ("blend", 0.3),
                    ("reciprocal_rank", 0.25),
                    ("lambdamart", 0.3),
                    ("als", 0.2),
                    ("popularity", 0.1),
                    ("most_popular", 0.05),
                )
                for part in ("all", "warm", "cold", "segment:VIP_Customers", "target:purchase", "target:new")
            ),
            rmse=2.134,
        ),
        ranker=RankerChoice(
            name="lambdamart",
            reason="It is better",
            tasks=("session",),
            learned_until=datetime(2019, 10, 31, 12),
            queries=1_234,
            gains=(FeatureGain(feature="rank_als", share=0.75), FeatureGain(feature="price_ratio", share=0.25)),
        ),
        gate=Verdict(published=True, reason="better overall"),
        recommendations=recommendations(brand),
        stages=(StageRun(stage="clean", seconds=125.4, rows=1_000, note="one file"),),
        paths=Paths(
            report=Path("report.html"),
            run=Path("run.json"),
            cleaned=Path("processed/cleaned_data_20191101_081500"),
            bundle=Path("models/20191101_081500"),
        ),
    )


def quality_row(
    model: str, part: str, mean: float, *, queries: int = 1_500, task: str = SESSION, margin: float = 0.01
) -> QualityRow:
    """A row whose metrics are all the same."""
    metric = MetricInterval(mean=mean, low=mean - margin, high=mean + margin)
    return QualityRow(
        task=task,
        model=model,
        slice=part,
        queries=queries,
        metrics=dict.fromkeys(METRICS, metric),
        coverage_10=0.25 if part == "all" else None,
        novelty_10=9.5 if part == "all" else None,
        diversity_10=0.75 if part == "all" else None,
    )


def segment(number: int, name: str, users: int) -> SegmentRow:
    means = Means(
        recency=3.5,
        frequency=9.0,
        monetary=2310.5 if number == 0 else 0.0,
        conversion_rate=0.31,
        cart_abandonment=0.22,
        unique_products=31.0,
        unique_categories=9.0,
        avg_price=120.0,
        price_level=1.25,
    )
    return SegmentRow(
        segment_id=number,
        segment=name,
        traits=("many visits", "spends much"),
        features=(
            TellingFeature(feature="monetary", apart=2.5, share=0.6),
            TellingFeature(feature="recency", apart=-1.5, share=0.25),
        ),
        users=users,
        share=users / 300,
        revenue_share=1.0 if number == 0 else 0.0,
        means=means,
    )


def segments() -> Segments:
    """Two, of which one was named otherwise before; three numbers were tried."""
    moves = ((0, "VIP_Customers", 0, 20, 0.8), (0, "VIP_Customers", 1, 5, 0.2), (1, "Few visits", 1, 75, 1.0))
    names = ("VIP_Customers", "New_Customers")
    return Segments(
        silhouette=0.412,
        rows=(segment(0, names[0], 30), segment(1, names[1], 270)),
        tried=(
            TriedNumber(segments=2, silhouette=0.412, stability=0.95),
            TriedNumber(segments=3, silhouette=0.5, stability=0.61),
        ),
        movement=Movement(
            since="20191025_081500",
            users=100,
            stayed=95,
            newcomers=200,
            moves=tuple(
                Move(was_id=was, was=name, segment_id=now, segment=names[now], users=users, share=share)
                for was, name, now, users, share in moves
            ),
        ),
    )


def customers() -> Customers:
    """Two names; visits and purchases of three weeks; a forecast that was 10 % too low."""
    return Customers(
        rfm=(rfm_row("Champions", 10, 750.25), rfm_row("Hibernating", 30, 250.0)),
        lifecycle=tuple(
            Lifecycle(
                kind=kind,
                last_is_whole=False,
                weeks=(
                    LifecycleRow(week=date(2019, 10, 7), new=30, returning=0, resurrected=0, dormant=0),
                    LifecycleRow(week=date(2019, 10, 14), new=8, returning=12, resurrected=0, dormant=18),
                    LifecycleRow(week=date(2019, 10, 21), new=2, returning=5, resurrected=1, dormant=15),
                ),
            )
            for kind in ("visits", "purchases")
        ),
        cohorts=tuple(
            PeriodCohorts(
                kind=kind,
                period="week",
                last_is_whole=False,
                rows=(
                    Cohort(start=date(2019, 10, 7), users=(30, back, 0)),
                    Cohort(start=date(2019, 10, 14), users=(8, 2)),
                    Cohort(start=date(2019, 10, 21), users=(2,)),
                ),
            )
            for kind, back in (("visits", 12), ("purchases", 6))
        ),
        value=Value(
            days=30,
            bg_nbd=model("r", "alpha", "a", "b"),
            gamma_gamma=model("p", "q", "v"),
            repeat_buyers=17,
            correlation=0.31,
            correlated=True,
            rows=(value_row("All customers", 40), value_row("Champions", 10), value_row("Hibernating", 30)),
            by_segment=(value_row("VIP_Customers", 30), value_row("New_Customers", 10)),
            holdout=Holdout(
                calibration_end=date(2019, 10, 21),
                days=10,
                customers=38,
                not_identified=None,
                expected=18.0,
                made=20,
                rows=(
                    HoldoutRow(frequency=0, customers=30, expected=8.0, made=7),
                    HoldoutRow(frequency=1, customers=8, expected=10.0, made=13),
                ),
            ),
        ),
    )


def rfm_row(name: str, number: int, revenue: float) -> RfmRow:
    return RfmRow(
        name=name,
        customers=number,
        share=number / 40,
        revenue=revenue,
        revenue_share=revenue / 1000.25,
        mean_recency_days=2.5,
        mean_purchases=3.25,
    )


def model(*names: str) -> ModelFit:
    estimates = tuple(Parameter(name=name, value=2.0, standard_error=0.2, low=1.6, high=2.4) for name in names)
    return ModelFit(not_identified=None, parameters=estimates, log_likelihood=-123.4)


def value_row(name: str, number: int) -> ValueRow:
    return ValueRow(
        name=name,
        customers=number,
        p_alive=Forecast(value=0.625, low=0.5, high=0.75),
        purchases_30=Forecast(value=number, low=0.9 * number, high=1.1 * number),
        purchases_90=Forecast(value=2 * number, low=1.8 * number, high=2.2 * number),
        expected_spend=17.5,
        value_90=Forecast(value=35.0 * number, low=30.0 * number, high=40.0 * number),
    )


def exploration(brand: str) -> Exploration:
    return Exploration(
        events=EventFigures(
            users=300,
            products=50,
            first=datetime(2019, 10, 1),
            last=datetime(2019, 10, 2),
            event_mix=tuple(EventMixRow(event_type=kind, events=n, share=n / 1_000) for kind, n in KINDS.items() if n),
            missing=(
                MissingRow(column="category_code", missing=321, share=0.321),
                MissingRow(column="brand", missing=144, share=0.144),
                MissingRow(column="price", missing=0, share=0.0),
            ),
            prices_not_positive=5,
            by_day=tuple(DayRow(day=date(2019, 10, day), events=1_000, by_type=KINDS) for day in (1, 2)),
            by_hour=(
                HourRow(hour=9, events=1_000, by_type=KINDS),
                HourRow(hour=15, events=2_000, by_type=KINDS),
            ),
            price_by_event_type=(
                PriceRow(event_type="view", mean=288.98, min=0.0, max=2574.07, events=900),
                PriceRow(event_type="purchase", mean=300.5, min=1.0, max=2000.0, events=40),
            ),
            top_categories=(LeaderRow(name="electronics", events=600, purchases=30, revenue=9000.5),),
            top_brands=(LeaderRow(name=brand, events=500, purchases=20, revenue=7000.25),),
        ),
        sessions=SessionFigures(
            count=400,
            buying=40,
            mean_events=4.59,
            std_events=11.2,
            min_events=1,
            p25_events=1,
            median_events=2,
            p75_events=5,
            max_events=1_159,
            mean_minutes=18.2,
            median_minutes=1.1,
            lengths=(SessionLengthRow(events=1, sessions=300), SessionLengthRow(events=20, sessions=100)),
            lengths_cap=20,
        ),
    )


def behaviour(name: str) -> Behaviour:
    """Of 400 sessions 50 fill a cart and 30 buy; `name` is that of a product and a category."""
    return Behaviour(
        has_prices=True,
        has_categories=True,
        funnel=Funnel(
            steps=("view", "cart", "purchase"),
            window_days=7,
            total=FunnelGroup(name="all", sessions=(400, 50, 30), users=(300, 60, 45)),
            open_users=120,
            buying_sessions=40,
            direct_sessions=14,
            instead=(
                Instead(step="view", event=None, same_product=False, sessions=280, share=0.8),
                Instead(step="view", event="view", same_product=False, sessions=60, share=60 / 350),
                Instead(step="view", event="purchase", same_product=True, sessions=10, share=10 / 350),
                Instead(step="cart", event="remove_from_cart", same_product=True, sessions=20, share=1.0),
            ),
            by_segment=(
                FunnelGroup(name="VIP_Customers", sessions=(100, 40, 25), users=(30, 20, 20)),
                FunnelGroup(name="New_Customers", sessions=(300, 10, 5), users=(270, 40, 25)),
            ),
            by_category=(FunnelGroup(name=name, sessions=(200, 20, 10), users=None),),
            by_price=(FunnelGroup(name="cheap third", sessions=(200, 30, 20), users=None),),
        ),
        carts=Carts(
            window_hours=24,
            outcomes=(
                CartOutcome(outcome="bought", lines=30, value=3000.5),
                CartOutcome(outcome="removed", lines=5, value=250.0),
                CartOutcome(outcome="left", lines=15, value=4321.75),
                CartOutcome(outcome="open", lines=10, value=900.0),
            ),
            products=(LeftBehind(name=name, category=name, left=9, value=4000.25, decided=12),),
            categories=(LeftBehind(name=name, category=None, left=15, value=4321.75, decided=50),),
            times=CartTimes(
                purchases=32,
                p25_seconds=60,
                median_seconds=300,
                p75_seconds=7_200,
                p90_seconds=90_000,
                bars=(
                    Waited(below_seconds=60, purchases=6),
                    Waited(below_seconds=86_400, purchases=20),
                    Waited(below_seconds=None, purchases=6),
                ),
            ),
        ),
        performance=Performance(
            products=50,
            rates=(
                ShopRate(event="cart", products=48, viewers=900, rate=0.09, alpha=1.0, beta=9.0, above=2, below=1),
                ShopRate(event="purchase", products=48, viewers=900, rate=0.05, alpha=1.0, beta=19.0, above=1, below=1),
            ),
            above=(product_row(name, 30, 0.125),),
            below=(product_row("slow seller", 0, 0.0123),),
            best_sellers=(product_row(name, 30, 0.125),),
        ),
        paths=Journeys(
            events=(
                Transition(before="start", after="view", times=400, share=1.0),
                Transition(before="view", after="end", times=300, share=0.6),
                Transition(before="view", after="view", times=150, share=0.3),
                Transition(before="view", after="cart", times=50, share=0.1),
                Transition(before="cart", after="purchase", times=50, share=1.0),
                Transition(before="purchase", after="end", times=50, share=1.0),
            ),
            categories=(
                Transition(before="start", after=name, times=400, share=1.0),
                Transition(before=name, after="end", times=390, share=0.975),
                Transition(before=name, after="other categories", times=10, share=0.025),
                Transition(before="other categories", after="end", times=10, share=1.0),
            ),
        ),
    )


def product_row(name: str, buyers: int, rate: float) -> ProductRow:
    return ProductRow(
        product=name,
        category=None,
        viewers=200,
        buyers=buyers,
        purchase_rate=rate,
        low=0.8 * rate,
        high=1.2 * rate,
        purchases=buyers,
        revenue=10.5 * buyers,
    )


def recommendations(brand: str) -> RecommendationFigures:
    return RecommendationFigures(
        recommendations=30,
        users=3,
        without_price=1,
        highest_score=9.0,
        highest_price=500.0,
        scores=(Bin(low=0.0, high=0.5, recommendations=20), Bin(low=0.5, high=1.0, recommendations=10)),
        prices=(Bin(low=0.0, high=250.0, recommendations=25), Bin(low=250.0, high=500.0, recommendations=4)),
        grid=(
            Cell(score_bin=0, price_bin=0, recommendations=20),
            Cell(score_bin=1, price_bin=1, recommendations=4),
        ),
        categories=(RecommendedRow(name="electronics", recommendations=20, mean_score=0.5),),
        brands=(RecommendedRow(name=brand, recommendations=15, mean_score=0.4),),
        unknown_categories=10,
        unknown_brands=15,
        sources=(RecommendedRow(name="als", recommendations=30, mean_score=0.5),),
        per_user=(PerUserRow(recommendations=9, users=1), PerUserRow(recommendations=10, users=2)),
        per_user_cap=50,
    )
