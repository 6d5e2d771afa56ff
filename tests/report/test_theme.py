"""A figure as inline SVG."""

from matplotlib.figure import Figure

from app.report.theme import style, to_svg


def test_a_figure_is_drawn_once() -> None:
    drawn: list[object] = []
    with style():
        figure = Figure()
        figure.subplots()
        figure.canvas.mpl_connect("draw_event", drawn.append)
        to_svg(figure, "title", "description")
    assert len(drawn) == 1
