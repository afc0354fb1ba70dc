"""Words in lines stand beside each other, and curves go from one to another."""

import pytest

from skattn.inspection.text_lines import Measures, arc_between, place_words

WORDS = ["the", "dog", "Donaudampfschifffahrtsgesellschaft", "a", "it"] * 7


@pytest.mark.parametrize("width", [40.0, 200.0, 1000.0])
def test_no_word_stands_on_another_or_beyond_the_line(width):
    places = place_words(WORDS, Measures(10), width)
    for one, other in zip(places, places[1:], strict=False):
        follows = other.line == one.line and other.left >= one.left + one.width
        assert follows or (other.line == one.line + 1 and other.left == 0)
    assert all(place.left == 0 or place.left + place.width <= width for place in places)


def test_lines_leave_room_for_arcs_and_numbers():
    measures = Measures(10)
    first, second = (place.top for place in place_words(["one", "two"], measures, 1.0))
    assert first - measures.box - measures.below - measures.above == pytest.approx(second)


def test_arcs_over_a_line_stay_in_their_room():
    measures = Measures(10)
    start, *_, end = place_words(["a", "b", "c", "d"], measures, 500.0)
    corners = arc_between(start, end, measures, end.centre - start.centre).interpolated(20).vertices
    path = arc_between(start, end, measures, end.centre - start.centre).to_polygons(closed_only=False)[0]
    assert path[0].tolist() == [start.centre, start.top] and path[-1].tolist() == [end.centre, end.top]
    assert start.top < path[:, 1].max() <= start.top + measures.above
    assert len(corners)


@pytest.mark.parametrize("is_down", [True, False])
def test_arcs_to_other_lines_go_between_the_lines(is_down):
    measures = Measures(10)
    places = place_words(["a", "b"], measures, 1.0)
    start, end = places if is_down else places[::-1]
    ends = arc_between(start, end, measures, 0.0).vertices[[0, -1], 1].tolist()
    above, below = places
    if is_down:
        assert [above.top - measures.box, below.top] == ends
    else:
        # Past the number under the word.
        assert [below.top, above.top - measures.box - measures.below] == ends
