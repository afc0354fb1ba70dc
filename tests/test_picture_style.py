"""Colours that print and every eye can take, and pictures in the place that they are given."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from pictures import _closed  # noqa: F401

from skattn.inspection import AttentionDisplay
from skattn.inspection.picture_style import LINES, check_plot, grid_axes, import_pyplot, ink_on, line_of, shades


def lightness(colours):
    """L* of CIELAB, of colours with red, green and blue in the last axis."""
    colours = np.asarray(colours)[..., :3]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(luminance) - 16


def test_equal_shares_are_equal_steps_of_lightness():
    found = lightness(shades()(np.linspace(0, 1, 41)))
    np.testing.assert_allclose(np.diff(found), np.diff(found).mean(), atol=0.6)
    assert found[0] > 97 and found[-1] < 25


def test_no_two_lines_have_the_same_dashes_or_the_same_grey():
    assert len(LINES) == len({str(dashes) for _, dashes in LINES}) == len({colour for colour, _ in LINES})
    greys = sorted(lightness([to_rgb(colour) for colour, _ in LINES[:3]]))
    assert np.diff(greys).min() > 2
    assert line_of(0) == line_of(len(LINES))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.7, 1.0])
def test_numbers_are_read_on_every_shade(share):
    ground = shades()(share)
    ink = lightness(to_rgb(str(ink_on(np.array(ground)))))
    assert abs(ink - lightness(ground)) > 35


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'AttentionDisplay draws with matplotlib; .* "skattn\[plot\]"'):
        import_pyplot("AttentionDisplay")


def test_what_plot_would_refuse_is_refused_before_anything_is_computed():
    with pytest.raises(TypeError, match="AttentionDisplay.plot has no argument 'colourbar'; it has .*colorbar"):
        check_plot(AttentionDisplay, {"colourbar": False})


def test_a_grid_takes_the_place_of_the_axes_it_is_given():
    figure, (left, right) = plt.subplots(1, 2)
    place = right.get_position()
    same, axes = grid_axes("A display", right, (2, 3), (1, 1))
    assert same is figure and axes.shape == (2, 3) and not right.axison and left.axison
    assert all(place.x0 - 1e-9 <= ax.get_position().x0 and ax.get_position().x1 <= place.x1 + 1e-9 for ax in axes.flat)


def test_a_grid_needs_axes_of_a_grid():
    ax = plt.figure().add_axes((0.1, 0.1, 0.8, 0.8))
    with pytest.raises(ValueError, match="A display draws 2 x 3 pictures in place of ax, which belongs to no grid"):
        grid_axes("A display", ax, (2, 3), (1, 1))
