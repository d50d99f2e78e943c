import numpy as np
import pytest
import seaborn
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from subcritic.reporting import style


def test_colours_are_seaborns_colour_blind_palette():
    ours = [
        style.BLUE,
        style.ORANGE,
        style.GREEN,
        style.VERMILLION,
        style.PINK,
        style.BROWN,
        style.GREY,
        style.SKY,
    ]
    light = [colour for colour in seaborn.color_palette("colorblind").as_hex() if colour not in ours]
    assert len(light) == 2 and all(min(to_rgb(colour)[:2]) > 0.65 for colour in light)


def test_names_can_be_read_on_white():
    for colour in style.SPARE:
        red, green, blue = to_rgb(colour)
        assert 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.65


def test_a_method_keeps_its_colour_whatever_stands_beside_it():
    few, many = style.method_colours(["ddpg"]), style.method_colours(["new", "linear", "ddpg", "other"])
    assert few["ddpg"] == many["ddpg"] == style.BLUE
    assert len({many[name] for name in ("new", "linear", "ddpg", "other")}) == 4


def test_no_two_of_many_methods_have_one_colour():
    names = ["ddpg", "learned-feedback", *(f"method-{index}" for index in range(24))]
    colours = style.method_colours(names)
    assert len({colours[name] for name in names}) == 26


@pytest.mark.parametrize(
    ("names", "lines"), [(["ddpg", "linear"], 1), ([f"a-method-{n}" for n in range(14)], 5)]
)
def test_a_legend_stays_within_its_figure(names, lines):
    figure = Figure(figsize=(4.5, 3), layout="constrained")
    figure.subplots()
    style.method_legend(figure, dict.fromkeys(names, style.INK))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    drawn = legend.get_window_extent()
    assert drawn.x0 >= 0 and drawn.x1 <= figure.bbox.x1
    assert len({round(text.get_window_extent().y0) for text in legend.get_texts()}) == lines


@pytest.mark.parametrize("width", [3.0, 4.0, 6.0, 12.0])
def test_a_note_stays_within_its_figure(width):
    parts = [
        "line: mean over seeds",
        "band: 95 % t-interval, 5 seeds",
        "thin: single seeds",
        "×: run stopped",
    ]
    figure = Figure(figsize=(width, 2), layout="constrained")
    figure.subplots()
    style.note(figure, style.BETWEEN.join(parts))
    figure.draw_without_rendering()
    drawn = figure._supxlabel.get_window_extent()
    assert drawn.x0 >= 0 and drawn.x1 <= figure.bbox.x1
    said = figure._supxlabel.get_text()
    assert said.replace("\n", style.BETWEEN) == style.BETWEEN.join(parts)
    assert ("\n" in said) == (width < 12)


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=8))
def test_labels_are_moved_apart_in_order(heights):
    placed = style.spread(sorted(heights), gap=0.1)
    assert np.all(np.diff(placed) >= 0.1 - 1e-9)
    assert min(placed) >= 0 and max(placed) <= 1 + 1e-9


def test_labels_with_room_stay_where_they_are():
    np.testing.assert_allclose(style.spread([0.1, 0.5, 0.9], gap=0.1), [0.1, 0.5, 0.9])


@pytest.mark.parametrize("suffix", style.FORMATS)
def test_the_same_figure_gives_the_same_bytes(tmp_path, suffix):
    saved = []
    for name in ("first", "second"):
        figure = Figure(figsize=(1, 1))
        figure.add_subplot().plot([1, 2])
        saved.append({path.suffix: path.read_bytes() for path in style.save(figure, tmp_path / name, "same")})
    assert saved[0][f".{suffix}"] == saved[1][f".{suffix}"]
