"""How far apart two runs are: by hand."""

import math

from same_figures import Section, of_models, sections, too_far

RUN = {"version": "a", "pairs": 7, "cleaning": {"kept": 10, "reasons": {"time": 2}}, "quality": {"rows": [1.0, 2.0]}}


def test_runs_that_differ_in_when_they_ran_alone_are_the_same() -> None:
    assert sections(RUN, RUN | {"version": "b"}) == [
        Section("pairs", 1, 0, 0.0),
        Section("cleaning", 2, 0, 0.0),
        Section("quality", 2, 0, 0.0),
    ]


def test_a_figure_that_is_off_is_counted_with_its_distance() -> None:
    other = RUN | {"quality": {"rows": [1.0, 2.5]}, "pairs": 8}
    assert sections(RUN, other) == [
        Section("pairs", 1, 1, 1 / 8),
        Section("cleaning", 2, 0, 0.0),
        Section("quality", 2, 1, 0.2),
    ]


def test_a_word_or_a_missing_figure_is_infinitely_far() -> None:
    other = RUN | {"cleaning": {"kept": 10, "reasons": {}}, "quality": {"rows": [1.0, None]}}
    assert [section.largest for section in sections(RUN, other)] == [0.0, math.inf, math.inf]


def test_a_section_of_the_second_run_alone_is_infinitely_far() -> None:
    assert sections(RUN, RUN | {"customers": {"rows": 3}})[-1] == Section("customers", 1, 1, math.inf)


def quality(**ndcg: float) -> dict[str, dict[str, list[dict[str, object]]]]:
    return {"quality": {"rows": [{"model": name, "metrics": {"ndcg_10": {"mean": of}}} for name, of in ndcg.items()]}}


def test_only_what_trees_order_may_differ_in_its_quality() -> None:
    one = quality(als=0.1, popularity=0.2, lambdamart=0.3)
    assert too_far(of_models(one, quality(als=0.1001, popularity=0.2, lambdamart=0.28))) == []
    assert too_far(of_models(one, quality(als=0.098, popularity=0.2, lambdamart=0.2))) == ["als", "lambdamart"]


def test_runs_too_small_to_be_tested_have_no_quality() -> None:
    assert of_models({"quality": None}, {"quality": None}) == {}
