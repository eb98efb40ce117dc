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


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\n  b", "a b"), ("x" * 32, "x" * 32), ("x" * 33, f"{'x' * 31}…"), (" ", " "), ("a\0", "a\ufffd")],
    ids=["lines", "longest", "longer", "blank", "odd"],
)  # fmt: skip
def test_a_name_is_shown_short_and_in_one_line(name: str, shown: str) -> None:
    assert picture.plain(name) == shown


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
    ("word", "like"),
    [("cafe\u0301", "cafe"), ("a\u20dd", "a"), ("\u0645\u06cc\u200c\u062e\u0648", "four"), ("\U0001f469\u200d", "ab")],
)
def test_accents_and_joiners_are_drawn_and_take_no_room(word: str, like: str) -> None:
    assert heated("a", [1.0]).findall(f"{SVG}rect")[1].get("width") == "17"
    _, ground = heated(word, [1.0]).findall(f"{SVG}rect")
    _, wanted = heated(like, [1.0]).findall(f"{SVG}rect")
    assert ground.get("width") == wanted.get("width")
    assert word in [text.text for text in heated(word, [1.0]).findall(f"{SVG}text")]


def head(height: int, title: str, said: str) -> list[str]:
    size = f'width="760" height="{height}"'
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 760 {height}"'
        ' role="img" aria-labelledby="t d" font-family="sans-serif" font-size="13">',
        f'<title id="t">{title}</title>',
        f'<desc id="d">{said}</desc>',
        f'<rect {size} fill="#ffffff"/>',
        f'<text x="16" y="24" font-size="15" fill="#1a1a1a">{title}</text>',
    ]


def test_bars_are_drawn_to_the_pixel() -> None:
    why = Explanation("trees", "late & <lost>", "log-odds", ["<x>", "y"], [0.5, -2.0], None, 0.5, -1.0, 0.0, 0)
    title = "Why late &amp; &lt;lost&gt;: 0.5 usually, -1 here (log-odds)"
    assert picture.waterfall(why).split("\n") == [
        *head(126, title, "y -2; &lt;x&gt; +0.5"),
        '<path d="M670.0 42V114" stroke="#767676" stroke-dasharray="3 3"/>',
        '<text x="238" y="72" text-anchor="end" fill="#1a1a1a">y</text>',
        '<rect x="250.0" y="58" width="420.0" height="18" fill="#d55e00"/>',
        '<text x="676.0" y="72" fill="#1a1a1a">-2</text>',
        '<text x="238" y="98" text-anchor="end" fill="#1a1a1a">&lt;x&gt;</text>',
        '<rect x="250.0" y="84" width="105.0" height="18" fill="#0072b2"/>',
        '<text x="361.0" y="98" fill="#1a1a1a">+0.5</text>',
        "</svg>",
    ]
    # What moved nothing can be seen as well, and speaks for the answer.
    still = picture.waterfall(Explanation("trees", "x", "score", ["a"], [0.0], None, 1.0, 1.0, 0.0, 0))
    assert '<rect x="250.0" y="58" width="1.0" height="18" fill="#0072b2"/>' in still


def word(x: int, y: int, width: int, colour: str, depth: str, said: str) -> list[str]:
    ground = f'<rect x="{x}" y="{y - 14}" width="{width}" height="20" rx="3" fill="{colour}" fill-opacity="{depth}"/>'
    font = f'font-family="monospace" font-size="14" fill="#1a1a1a" textLength="{width - 8}"'
    return [ground, f'<text x="{x + 4}" y="{y}" {font} lengthAdjust="spacingAndGlyphs">{said}</text>']


def number(x: str, y: int, said: str) -> str:
    return f'<text x="{x}" y="{y + 18}" text-anchor="middle" font-size="10" fill="#767676">{said}</text>'


def test_words_are_drawn_to_the_pixel() -> None:
    words, scores = ["not", "s<o", "\u96fb"], [-0.4, 0.0399, 0.2]
    why = Explanation("leverage", "positive", "probability", words, scores, None, 0.5, 0.31, 0.0, 64)
    title = "Why positive: 0.5 usually, 0.31 here (probability)"
    assert heat.heat(why, "not s<o \u96fb").split("\n") == [
        *head(100, title, "not -0.4; \u96fb +0.2; s&lt;o +0.0399"),
        *word(16, 58, 35, "#d55e00", "0.550", "not"), number("33.5", 58, "-0.4"),
        *word(55, 58, 35, "#0072b2", "0.055", "s&lt;o"),
        *word(94, 58, 26, "#0072b2", "0.275", "\u96fb"), number("107", 58, "+0.2"),
        "</svg>",
    ]  # fmt: skip


@pytest.mark.parametrize(("last", "place"), [(19, (565, 58)), (20, (16, 100))])
def test_a_line_is_as_long_as_the_picture_without_its_margins(last: int, place: tuple[int, int]) -> None:
    words = [letter * count for letter, count in (("a", 19), ("b", 19), ("c", 19), ("d", last))]
    root = heated(" ".join(words), [1.0, 0.1, 0.0999, 0.0])
    places = [(int(each.get("x")), int(each.get("y")) + 14) for each in root.findall(f"{SVG}rect")[1:]]
    assert places == [(16, 58), (199, 58), (382, 58), place]
    assert [text.text for text in root.findall(f"{SVG}text") if text.get("font-size") == "10"] == ["+1", "+0.1"]
