"""An explanation as SVG: whole, whatever a client wrote, and readable without seeing it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from inference.explain import picture
from inference.output import Explanation

SVG = "{http://www.w3.org/2000/svg}"


def drawn(features: list[str], scores: list[float], base: float = 0.5) -> ElementTree.Element:
    value = base + sum(scores)
    why = Explanation("trees", "late & <lost>", "log-odds", features, scores, None, base, value, 0.0, 0)
    return ElementTree.fromstring(picture.waterfall(why))


def test_each_feature_has_a_bar_from_where_the_one_before_it_ends() -> None:
    root = drawn(["small", "large"], [0.5, -2.0])
    _, large, small = root.findall(f"{SVG}rect")
    assert (large.get("fill"), small.get("fill")) == (picture.DOWN, picture.UP)
    widths = [float(bar.get("width")) for bar in (large, small)]
    assert widths[0] == pytest.approx(4 * widths[1], abs=0.2)
    assert float(small.get("x")) == pytest.approx(float(large.get("x")), abs=0.1)
    assert root.find(f"{SVG}title").text == "Why late & <lost>: 0.5 usually, -1 here (log-odds)"
    assert root.find(f"{SVG}desc").text == "large -2; small +0.5"


def test_what_has_no_bar_of_its_own_is_added_up() -> None:
    root = drawn([f"f{number}" for number in range(40)], [1.0] * 40)
    texts = [text.text for text in root.findall(f"{SVG}text")]
    assert (texts[-2], texts[-1]) == ("28 others", "+28")
    assert len(root.findall(f"{SVG}rect")) == picture.MOST_BARS + 2


@pytest.mark.parametrize("name", ["\0\x1b", "\ud7ff\ufffe", "<script>", "\"&'", "x" * 1000, ""])
def test_whatever_a_word_is_the_picture_is_xml(name: str) -> None:
    root = drawn([name], [0.0], base=0.0)
    [shown] = [text.text or "" for text in root.findall(f"{SVG}text")][1:2]
    assert len(shown) <= picture.MOST_LETTERS
