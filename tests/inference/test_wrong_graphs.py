"""Mistakes in the files beside model.yaml: graphs that do not fit it, and code of a kind of somebody's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from core import errors
from inference import bundle, check, kinds, model
from tests import graphs
from tests.graphs import GOOD, graph

#: Where rows of many jobs are in one run.
SHARED = {"pool": "gpu", "inline": False}


def another_type(folder: Path) -> None:
    (folder / "model.yaml").unlink()
    (folder / "model.yaml").mkdir()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "model.yaml").unlink(), "has no model.yaml, which says what it takes and gives"),
        (lambda folder: (folder / "model.yaml").rename(folder / "model.yml"), "has no model.yaml; rename model.yml"),
        (another_type, "model.yaml cannot be read: Is a directory"),
        (lambda folder: (folder / "model.yaml").write_bytes(b""), "model.yaml is empty"),
        (lambda folder: (folder / "model.yaml").write_bytes(b"\xff\xfea\0"), "byte 0 is not UTF-8; save it as that"),
        (lambda folder: (folder / "model.yaml").write_text("a:1"), "must be a mapping: lines of `key: value`"),
        (lambda folder: (folder / "model.onnx").unlink(), "has no file model.onnx"),
        (lambda folder: (folder / "model.onnx").rename(folder / "b.onnx"), "has no file model.onnx; it holds b.onnx"),
        (lambda folder: (folder / "model.onnx").write_bytes(b""), "model.onnx is empty"),
        (
            lambda folder: (folder / "model.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
            "fetch it with `git lfs pull`",
        ),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named(
    tmp_path: Path, spoil: Callable[[Path], object], says: str
) -> None:
    folder = graphs.bundle(tmp_path / "bundle")
    spoil(folder)
    with pytest.raises(errors.BundleInvalid) as caught:
        bundle.load(folder)
    assert says in caught.value.message


def future() -> bytes:
    made = onnx.load_from_string(graph(GOOD))
    made.opset_import[0].version = 99
    return bytes(made.SerializeToString())


TYPES = {"float": 1, "int64": 7, "string": 8, "bool": 9, "float16": 10, "double": 11}


def outputs(kind: str, shape: str, *names: str) -> bytes:
    """A graph that gives this, under these names."""
    keep = "" if "," in shape else ", keepdims = 0"
    sums = "features" if shape.endswith("2") else "sum"
    body = f"sum = ReduceMean <axes = [1]{keep}> (features) "
    named = names or ("label",)
    body += " ".join(f"{name} = Cast <to = {TYPES[kind]}> ({sums})" for name in named)
    return graph(body, gives=", ".join(f"{kind}[{shape}] {name}" for name in named))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (b"hello", "model.onnx is no ONNX file, or damaged. ONNX Runtime says: "),
        (graph(GOOD)[:-20], "model.onnx is no ONNX file, or damaged"),
        (future(), "cannot be opened; export it for an older opset. ONNX Runtime says: "),
        (
            graph("probabilities = Concat <axis = 1> (features, features)", gives="float[N, 4] probabilities"),
            "gives 'probabilities' (float [*, 4]), but must give floats [rows, 2], one for each label of",
        ),
        (
            graph("probabilities = SequenceConstruct (features)", gives="seq(float[N, 2]) probabilities"),
            "gives 'probabilities' (seq(tensor(float))), but must give floats [rows, 2], one for each label of",
        ),
        *((outputs(kind, shape), f"gives 'label' ({kind} [*{more}]), but must give floats [rows, 2]")
          for kind in ("int64", "string", "bool") for shape, more in (("N", ""), ("N, 1", ", 1"))),
        (outputs("float", "N, 2", "scores", "other"), "which of them it is, such as output: scores"),
        (graph("probabilities = Constant <value = float[1, 2] {0.5, 0.5}> ()", takes=""), "takes nothing: export it w"),
        (graph("probabilities = Cast <to = 8> (features)", gives="string[N, 2] probabilities"), "(string [*, 2]), but"),
        (graph("probabilities = Cast <to = 7> (features)", gives="int64[N, 2] probabilities"), "(int64 [*, 2]), but"),
        (
            graph(f"floats = Cast <to = 1> (features) {GOOD.replace('features', 'floats')}", "int64[N, 2] features"),
            "takes 'features' (int64 [*, 2]), but field x is number: it takes integer or boolean",
        ),
        (
            graph("probabilities = Softmax (features)", "float[N, 3] features", "float[N, M] probabilities"),
            "takes 'features' (float [*, 3]), but the fields of model.yaml make [rows, 2]",
        ),
        (graph("probabilities = Identity (features)"), "which is no probability: end the graph with a softmax"),
        (
            graph(GOOD, "float[1, 2] features", "float[1, 2] probabilities"),
            "takes 'features' (float [1, 2]), neither more nor fewer rows at once: say max_batch: 1 in model.yaml, or",
        ),
        (
            graph(f"one = Reshape (features, shape) {GOOD.replace('features', 'one')}",
                  "float[N, 2] features, int64[2] shape = {1, 2}"),
            "answers each of 2 rows alone, but not all at once: small failed: Fail. ONNX Runtime says: ",
        ),
        (
            graph("mean = ReduceMean <axes = [0]> (features) probabilities = Softmax <axis = 1> (mean)"),
            "small gave 'probabilities' as float32 [1, 2], but must give floats [2, 2]. Say max_batch: 1 in",
        ),
    ],
)  # fmt: skip
def test_a_graph_that_does_not_fit_is_refused_with_what_it_has_and_what_is_wanted(
    tmp_path: Path, made: bytes, says: str
) -> None:
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(graphs.bundle(tmp_path / "bundle", made, **SHARED)))
    assert str(tmp_path / "bundle") in caught.value.message
    assert says in caught.value.message
    assert len(caught.value.message) < 1500


@pytest.mark.parametrize(
    ("rows", "max_batch", "fix"),
    [
        (1, 2, "say max_batch: 1 in model.yaml, or export it with a first axis of any size"),
        *((rows, max_batch, "export it with a first axis of any size") for rows in (2, 3) for max_batch in (1, 2)),
    ],
)
def test_a_graph_of_a_fixed_number_of_rows_is_told_what_would_do(
    tmp_path: Path, rows: int, max_batch: int, fix: str
) -> None:
    made = graph(GOOD, f"float[{rows}, 2] features", f"float[{rows}, 2] probabilities")
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(graphs.bundle(tmp_path / "bundle", made, max_batch=max_batch)))
    takes = f"takes 'features' (float [{rows}, 2]), neither more nor fewer rows at once"
    assert caught.value.message == f"{tmp_path / 'bundle' / 'model.onnx'} {takes}: {fix}"


def test_a_graph_of_one_row_will_do_where_rows_come_one_at_a_time(tmp_path: Path) -> None:
    made = graph(GOOD, "float[1, 2] features", "float[1, 2] probabilities")
    check.check(bundle.load(graphs.bundle(tmp_path / "bundle", made, max_batch=1)))


@pytest.mark.parametrize("kind", ["int64", "string", "bool"])
@pytest.mark.parametrize("shape", ["N", "N, 1"])
def test_a_graph_that_gives_labels_is_not_taken_for_one_that_gives_a_number(
    tmp_path: Path, kind: str, shape: str
) -> None:
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(graphs.bundle(tmp_path / "bundle", outputs(kind, shape))))
    assert "one number a row" not in caught.value.message


def test_labels_in_another_order_than_the_graphs_are_told_by_what_the_examples_say(tmp_path: Path) -> None:
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(graphs.bundle(tmp_path / "bundle", labels=["b", "a"])))
    assert "must give a 0.731059, but gives b 0.73" in caught.value.message
    assert "gives a where b is right, b where a is right: put labels in the order of the" in caught.value.message


@pytest.mark.parametrize("wrong", [{"prediction": "b"}, {"confidence": 0.9}, {"prediction": "b", "confidence": 0.9}])
def test_an_example_that_is_wrong_for_another_reason_is_not_blamed_on_the_order(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    golden = [{**graphs.manifest()["golden"][0], **wrong}, graphs.manifest()["golden"][1]]
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(graphs.bundle(tmp_path / "bundle", golden=golden)))
    assert "order" not in caught.value.message


MIXES = [
    "most = ReduceMax <axes = [0]> (features) part = Div (features, most) probabilities = Softmax (part)",
    # What a shift that is the same for all fields would not show.
    "most = ReduceMax <axes = [0]> (features) apart = Sub (most, features) both = Add (features, apart) "
    "probabilities = Softmax (both)",
    "mean = ReduceMean <axes = [0]> (features) both = Add (features, mean) probabilities = Softmax (both)",
]


@pytest.mark.parametrize("mixes", MIXES)
@pytest.mark.parametrize("xs", [(2,), (2, 30), (2, 2)], ids=str)
def test_a_graph_that_mixes_rows_is_refused_whatever_its_examples_are(
    tmp_path: Path, xs: tuple[float, ...], mixes: str
) -> None:
    made = graph(mixes)
    alone = model.open_model(bundle.load(graphs.bundle(tmp_path / "one", made, max_batch=1, **SHARED)))
    assert isinstance(alone, model.Model)
    said = [graphs.labels(alone, [{"x": x, "y": 1}])[0] for x in xs]
    golden = [
        {"inputs": {"x": x, "y": 1}, "prediction": given.label, "confidence": given.confidence}
        for x, given in zip(xs, said, strict=True)
    ]
    with pytest.raises(errors.BundleInvalid, match=r"other scores beside another row than alone, .* max_batch: 1"):
        check.check(bundle.load(graphs.bundle(tmp_path / "bundle", made, golden=golden, **SHARED)))
    check.check(bundle.load(graphs.bundle(tmp_path / "said", made, golden=golden, max_batch=1, **SHARED)))


#: A small score, which is another by half of itself in company.
SMALL = """
  most = ReduceMax <keepdims = 1> (features) part = Constant <value = float {0.0002}> () small = Mul (most, part)
  sum = ReduceSum (features, across) nothing = Mul (sum, zero) few = Add (nothing, small)
  one = Constant <value = float {1}> () rest = Sub (one, few) probabilities = Concat <axis = 1> (rest, few)
"""


def test_probabilities_may_differ_by_their_last_digits_however_small_they_are(tmp_path: Path) -> None:
    golden = [{"inputs": {"x": x, "y": 1}, "prediction": "a", "confidence": 1} for x in (1, 3)]
    fields = [{**field, "maximum": 3} for field in graphs.FIELDS]
    says = {**SHARED, "fields": fields, "golden": golden}
    check.check(bundle.load(graphs.bundle(tmp_path / "bundle", graph(SMALL), **says)))


#: The mean of all rows is added to what comes behind the fourth.
LATE = """
  first = Constant <value = int64[1] {0}> () fourth = Constant <value = int64[1] {4}> ()
  far = Constant <value = int64[1] {9999}> ()
  early = Slice (features, first, fourth, first) late = Slice (features, fourth, far, first)
  mean = ReduceMean <axes = [0]> (features) mixed = Add (late, mean)
  both = Concat <axis = 0> (early, mixed) probabilities = Softmax <axis = 1> (both)
"""


def test_a_graph_that_mixes_rows_of_large_batches_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        errors.BundleInvalid, match=r"beside another row than alone, .* in a batch of 32\. .*max_batch: 1"
    ):
        check.check(bundle.load(graphs.bundle(tmp_path / "bundle", graph(LATE), **SHARED)))
    with pytest.raises(errors.BundleInvalid, match="in a batch of 64"):
        check.check(bundle.load(graphs.bundle(tmp_path / "large", graph(LATE), max_batch=4096, **SHARED)))
    # Where it does not mix them.
    check.check(bundle.load(graphs.bundle(tmp_path / "few", graph(LATE), max_batch=4, **SHARED)))


def test_each_of_several_plug_ins_is_found_by_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["first_of_two", "second_of_two"]
    for name in names:
        graphs.plug_in(tmp_path, name, "def Kind(bundle): return f'{__name__} {bundle}'\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = [kinds.find(name) for name in names]
    assert [kind.encoder("b", ()) for kind in found] == ["first_of_two b", "second_of_two b"]  # type: ignore[attr-defined]
    assert set(names) < set(kinds.names())
    with pytest.raises(errors.BundleInvalid, match="kind 'third' is not installed; there are: tabular, text, tokens"):
        kinds.find("third")


KIND = """
class Kind:
    def __init__(self, bundle): {init}
    def encode(self, rows): {encode}
"""


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import nothing_of_the_kind", "cannot be imported from {name}:Kind: ModuleNotFoundError"),
        ("", "cannot be imported from {name}:Kind: AttributeError"),
        ("Kind = 5", "cannot use it: TypeError: 'int' object is not callable"),
        (KIND.format(init="{}['a']", encode="pass"), "cannot use it: KeyError: 'a'"),
        (KIND.format(init="pass", encode="pass"), "Python says: 'NoneType' object has no attribute 'items'"),
        (KIND.format(init="pass", encode="return {'x': [1]}"), "but '{name}' hands in 'x' (int64 [rows]): name the"),
        (KIND.format(init="pass", encode="return {'features': [[1.0, 2.0]]}"), "but is handed double: export it with"),
        (KIND.format(init="pass", encode="1 / 0"), "failed: ZeroDivisionError. Python says: division by zero"),
    ],
)
def test_a_plug_in_that_does_not_work_is_told_by_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, code: str, says: str
) -> None:
    name = f"kind{abs(hash(request.node.name))}"
    graphs.plug_in(tmp_path, name, code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(graphs.bundle(tmp_path / "bundle", kind=name)))
    assert says.replace("{name}", name) in caught.value.message


@pytest.mark.parametrize(
    ("takes", "hands", "says"),
    [
        ("float[N, 2] x", "{'a': [[1.0, 2.0]]}", "hands in 'a' (double [rows, 2]): name the graph's input 'a'"),
        ("float[N, 2] x, float[N] y", "{'a': [1]}", "'a' (int64 [rows]): export it with one input 'a' for all of it"),
        ("float[N, 2] x", "{'a': [[1.0, 2.0]], 'b': [1]}", "export it with the inputs a, b, and no others"),
    ],
)
def test_a_graph_that_takes_other_names_than_its_kind_hands_in_is_told_all_of_them_and_which_to_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes: str, hands: str, says: str
) -> None:
    name = f"kind{abs(hash(hands))}"
    graphs.plug_in(tmp_path, name, KIND.format(init="pass", encode=f"return {hands}"))
    monkeypatch.syspath_prepend(tmp_path)
    made = graph("probabilities = Softmax <axis = 1> (x)", takes)
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(graphs.bundle(tmp_path / "bundle", made, kind=name)))
    assert caught.value.message.endswith(says)
