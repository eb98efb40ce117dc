"""Small changes of a SQL text, by its tokens: what it leaves out, and where it ends one row too late."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*)
      | (?P<string>'(?:[^']|'')*')
      | (?P<hole>\{\{|\}\}|\{[^{}]*\})
      | (?P<name>:[a-z_]\w*|%\(\w+\)s|"[^"]*"|[A-Za-z_][\w.]*)
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<mark>::|=>|<=|>=|<>|!=|->>|->|\|\||.)""",
    re.VERBOSE,
)
#: After these a condition begins that decides about rows, or about what a trigger does.
_CONDITION = {"WHERE", "ON", "HAVING", "WHEN", "IF", "ELSIF"}
_BEGINS = {*_CONDITION, "AND", "OR", "SELECT", "THEN", "ELSE", "RETURNING", "BY", "SET", "NOT", ",", "(", "="}
_ENDS = {
    *_BEGINS, "AS", "FROM", "GROUP", "ORDER", "LIMIT", "FOR", "UNION", "WINDOW", "JOIN", "LEFT", "INNER", "CROSS",
    "END", "EXECUTE", "USING", "DO", "ROWS", "VALUES", ";",
} - {"NOT", "=", "("}  # fmt: skip
_OTHER = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "<>": "=", "+": "-", "-": "+", "greatest": "least",
    "least": "greatest", "min": "max", "max": "min",
}  # fmt: skip
_COMPARES = {"<", "<=", ">", ">=", "<>"}
_CALLS = {"greatest", "least", "min", "max"}
_CONSTANT = re.compile(r"\b(SELECT|UPDATE|DELETE FROM|INSERT INTO|CREATE FUNCTION|CREATE TRIGGER)\b|\bAND \w+ = :\w")


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int
    depth: int

    def __eq__(self, other: object) -> bool:
        return self.text == other if isinstance(other, str) else self is other

    __hash__ = None

    @property
    def upper(self) -> str:
        return self.text if self.kind == "name" and self.text.isupper() else self.text if self.kind == "mark" else ""


@dataclass(frozen=True)
class Change:
    """`start` to `end` of the text becomes `new`."""

    start: int
    end: int
    new: str
    what: str


def is_sql(text: str) -> bool:
    return bool(_CONSTANT.search(text)) and "CREATE INDEX" not in text


def changes(text: str) -> list[Change]:
    """Every small change, first come first; none in what only makes the planner choose another way."""
    tokens = _tokens(text)
    found = [*_conditions(text, tokens), *_marks(tokens), *_clauses(text, tokens), *_items(text, tokens)]
    return sorted(found, key=lambda change: (change.start, change.end))


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    inside: list[str] = []
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "skip":
            continue
        if match[0] == ")" or (match[0] == "END" and inside[-1:] == ["CASE"]):
            inside = inside[:-1]
        found.append(Token(match.lastgroup or "", match[0], match.start(), match.end(), len(inside)))
        if match[0] in ("(", "CASE"):
            inside.append(match[0])
    return found


def _until(tokens: Sequence[Token], first: int, ends: set[str]) -> int:
    """The place of the first token, from `first` on, that ends what began there: at its depth, or a bracket out."""
    depth = tokens[first].depth if first < len(tokens) else 0
    for place in range(first, len(tokens)):
        token = tokens[place]
        if token.depth < depth or (token.depth == depth and token.upper in ends):
            return place
    return len(tokens)


def _conditions(text: str, tokens: Sequence[Token]) -> Iterator[Change]:
    """Parts of a condition: one of an AND becomes true, one of an OR false; names and parameters stay in use."""
    for place, opener in enumerate(tokens):
        if opener.upper not in _BEGINS - {"=", "SET", "BY"} or not _opens(tokens, place):
            continue
        first = place + 1
        if opener == "NOT" or first >= len(tokens):
            continue
        last = _operand_end(tokens, first)
        if last == first:
            continue
        after = tokens[last].upper if last < len(tokens) else ""
        joint = opener.upper if opener.upper in ("AND", "OR") else after if after in ("AND", "OR") else ""
        if not joint and opener.upper not in _CONDITION:
            continue
        start, end = tokens[first].start, tokens[last - 1].end
        if text[start:end] == "true":
            continue
        new = f"(false AND ({text[start:end]}))" if joint == "OR" else f"(true OR ({text[start:end]}))"
        yield Change(start, end, new, f"`{_short(text[start:end])}` is no condition any more")


def _opens(tokens: Sequence[Token], place: int) -> bool:
    """Whether a condition may begin here: no ON of a table or a conflict, no AND of a BETWEEN, no trigger's WHEN."""
    token = tokens[place]
    before = [item for item in tokens[:place] if item.depth == token.depth]
    if token == "ON":
        clauses = [item.upper for item in before if item.upper in ("JOIN", "WHERE", "SELECT", "INSERT", "CREATE")]
        return bool(clauses) and clauses[-1] == "JOIN"
    if token == "AND":
        words = [item.upper for item in before if item.upper in ("BETWEEN", "AND", *_CONDITION)]
        return not words or words[-1] != "BETWEEN"
    if token == "IF":
        return (
            place + 1 < len(tokens) and tokens[place + 1].upper not in ("EXISTS", "NOT") and tokens[place - 1] != "END"
        )
    return True


def _operand_end(tokens: Sequence[Token], first: int) -> int:
    depth = tokens[first].depth
    for place in range(first, len(tokens)):
        token = tokens[place]
        if token.depth < depth or (token.depth == depth and token.upper in _ENDS and _opens(tokens, place)):
            return place
    return len(tokens)


def _marks(tokens: Sequence[Token]) -> Iterator[Change]:
    for place, token in enumerate(tokens):
        before, after = tokens[place - 1] if place else None, tokens[place + 1] if place + 1 < len(tokens) else None
        if (token.text in _CALLS and after == "(") or (token.text in _COMPARES and not _moments(before, after)):
            new = _OTHER[token.text]
            yield Change(token.start, token.end, new, f"{token.text} becomes {new}")
        elif token.text in ("+", "-") and before and (before.kind in ("name", "number", "hole") or before == ")"):
            yield Change(token.start, token.end, _OTHER[token.text], f"{token.text} becomes {_OTHER[token.text]}")
        elif token == "NOT" and before and after and before == "IS":
            yield Change(token.start, after.start, "", f"IS NOT {after.text} becomes IS {after.text}")
        elif token == "IS" and after and after.upper in ("NULL", "TRUE", "FALSE"):
            yield Change(after.start, after.start, "NOT ", f"IS {after.text} becomes IS NOT {after.text}")
        elif token == "NOT" and after and after.upper in ("IN", "EXISTS", "LIKE"):
            yield Change(token.start, after.start, "", f"NOT {after.text} becomes {after.text}")
        elif token.kind == "number" and token.text.isdigit() and not (before and before.upper == "SELECT"):
            yield Change(token.start, token.end, str(int(token.text) + 1), f"{token.text} is one more")
        elif token.kind == "string" and (number := re.fullmatch(r"'(\d+)( \w+)'", token.text)):
            new = f"'{int(number[1]) + 1}{number[2]}'"
            yield Change(token.start, token.end, new, f"{token.text} becomes {new}")


def _moments(*beside: Token | None) -> bool:
    """Whether moments are compared, of which no two are the same."""
    return any(token and re.search(r"_at$|now$|timestamp$", token.text) for token in beside)


def _clauses(text: str, tokens: Sequence[Token]) -> Iterator[Change]:
    for place, token in enumerate(tokens):
        if token == "LIMIT":
            end = tokens[_until(tokens, place + 1, {"FOR", ";", "OFFSET", "UNION"}) - 1].end
            yield Change(token.start, end, "", f"no `{text[token.start : end]}`")
        elif token == "SKIP":
            yield Change(token.start, tokens[place + 1].end, "", "waits for locked rows instead of SKIP LOCKED")
        elif token == "FOR" and tokens[place + 1].upper in ("UPDATE", "NO", "SHARE", "KEY"):
            end = tokens[_until(tokens, place + 1, {";"}) - 1].end
            yield Change(token.start, end, "", f"no `{text[token.start : end]}`")
        elif token == "DISTINCT" and tokens[place - 1] == "SELECT":
            yield Change(token.start, token.end, "", "no DISTINCT")


def _items(text: str, tokens: Sequence[Token]) -> Iterator[Change]:
    """What an UPDATE sets is left as it was; what an order goes by goes the other way round."""
    for place, token in enumerate(tokens):
        if token == "SET" and _sets_columns(tokens, place):
            items = _split(tokens, place + 1, {"FROM", "WHERE", "RETURNING", ";"})
            for number, (first, last) in enumerate(items if len(items) > 1 else []):
                start = tokens[first].start if number == 0 else tokens[items[number - 1][1] - 1].end
                end = tokens[items[1][0]].start if number == 0 else tokens[last - 1].end
                what = f"`{_short(text[tokens[first].start : tokens[last - 1].end])}` is not set"
                yield Change(start, end, "", what)
        elif token == "BY" and tokens[place - 1] == "ORDER":
            for first, last in _split(tokens, place + 1, {"LIMIT", "FOR", "RETURNING", "ROWS", "UNION", ";", "ON"}):
                item, word = text[tokens[first].start : tokens[last - 1].end], tokens[last - 1]
                if item == "random()":
                    continue
                if word.upper in ("DESC", "ASC"):
                    new = "ASC" if word == "DESC" else "DESC"
                    yield Change(word.start, word.end, new, f"the order by `{_short(item)}` is turned round")
                else:
                    yield Change(word.end, word.end, " DESC", f"the order by `{_short(item)}` is turned round")


def _sets_columns(tokens: Sequence[Token], place: int) -> bool:
    return any(item.upper in ("UPDATE", "DO") for item in tokens[max(0, place - 5) : place]) and (
        place + 2 < len(tokens) and tokens[place + 2] == "="
    )


def _split(tokens: Sequence[Token], first: int, ends: set[str]) -> list[tuple[int, int]]:
    found = []
    while first < len(tokens):
        last = _until(tokens, first, {*ends, ","})
        found.append((first, last))
        if last >= len(tokens) or tokens[last] != "," or tokens[last].depth < tokens[first].depth:
            break
        first = last + 1
    return found


def _short(text: str) -> str:
    found = " ".join(text.split())
    return found if len(found) <= 90 else f"{found[:87]}…"
