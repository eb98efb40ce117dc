"""An explanation as SVG: whole, whatever a client wrote, and readable without seeing it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from inference.explain import heat, picture
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


def heated(text: str, scores: list[float], features: list[str] | None = None) -> ElementTree.Element:
    words = text.split() if features is None else features
    why = Explanation("leverage", "positive", "probability", words, scores, None, 0.5, 0.9, 0.0, 64)
    return ElementTree.fromstring(heat.heat(why, text) or "")


def test_a_text_is_drawn_as_it_reads_and_deeper_where_a_word_did_more() -> None:
    root = heated("not so good", [-0.4, 0.01, 0.2])
    _, *grounds = root.findall(f"{SVG}rect")
    assert [ground.get("fill") for ground in grounds] == [picture.DOWN, picture.UP, picture.UP]
    depths = [float(ground.get("fill-opacity")) for ground in grounds]
    assert depths == [pytest.approx(part * heat.DEEPEST, abs=1e-3) for part in (1.0, 0.025, 0.5)]
    places = [float(ground.get("x")) for ground in grounds]
    assert places == sorted(places)
    texts = [text.text for text in root.findall(f"{SVG}text")]
    assert texts[1:] == ["not", "-0.4", "so", "good", "+0.2"]
    assert root.find(f"{SVG}desc").text == "not -0.4; good +0.2; so +0.01"


def test_a_long_text_goes_on_in_the_next_line_and_none_is_wider_than_the_picture() -> None:
    root = heated(" ".join(["wonderful"] * 40 + ["電" * 40]), [1.0] * 41)
    grounds = root.findall(f"{SVG}rect")[1:]
    ends = [float(ground.get("x")) + float(ground.get("width")) for ground in grounds]
    assert max(ends) <= picture.WIDTH
    lines = {float(ground.get("y")) for ground in grounds}
    assert len(lines) > 4
    assert float(root.get("height")) > max(lines) + 20


@pytest.mark.parametrize("features", [["b", "a"], ["a", "c"], ["a", "b", "b"]])
def test_what_is_not_that_text_is_not_drawn_as_one(features: list[str]) -> None:
    why = Explanation("leverage", "x", "score", features, [1.0] * len(features), None, 0.0, 1.0, 0.0, 1)
    assert heat.heat(why, "a b") is None
    assert heat.heat(why, " ".join(features)) is not None


@pytest.mark.parametrize("name", ["\x1b", "\ud7ff\ufffe", "<script>", "\"&'", "x" * 1000])
def test_whatever_a_word_of_a_text_is_the_picture_is_xml(name: str) -> None:
    heated(name, [0.0], [name])


@pytest.mark.parametrize(
    ("word", "like"), [("cafe\u0301", "cafe"), ("\u0645\u06cc\u200c\u062e\u0648", "four"), ("\U0001f469\u200d", "ab")]
)
def test_accents_and_joiners_are_drawn_and_take_no_room(word: str, like: str) -> None:
    _, ground = heated(word, [1.0]).findall(f"{SVG}rect")
    _, wanted = heated(like, [1.0]).findall(f"{SVG}rect")
    assert ground.get("width") == wanted.get("width")
    assert word in [text.text for text in heated(word, [1.0]).findall(f"{SVG}text")]
