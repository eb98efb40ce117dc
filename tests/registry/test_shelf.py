"""Which models are open, where there is not room for all: nobody's request is lost, and memory goes back."""

from __future__ import annotations

import contextlib
import gc
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import registry.shelf
from core import errors, metrics
from inference import bundle
from inference.device import Device
from inference.model import Model, open_model
from registry import memory
from registry.shelf import OPENINGS, Shelf, bundle_key
from registry.versions import Resolved
from tests import graphs
from tests.conftest import Platform, until

#: MiB: room for three small models.
THREE = 13
ROW: Mapping[str, float] = {"x": 2, "y": 1}

MakeModel = Callable[..., Resolved]


@pytest.fixture
def make_model(platform: Platform, tmp_path: Path) -> Iterator[MakeModel]:
    """A model as it lies in the store, and as the catalog would name it. What it says to ROW is its name."""
    keys = []

    def make(name: str, graph: bytes | None = None, golden: Mapping[str, float] = ROW) -> Resolved:
        promised = {"inputs": golden, "prediction": name, "confidence": graphs.CONFIDENCE}
        made = bundle.load(
            graphs.bundle(tmp_path / "made" / name, graph, name=name, labels=[name, "b"], golden=[promised])
        )
        keys.append(bundle_key(made.digest))
        platform.store.put(keys[-1], graphs.pack(made))
        return Resolved(name, "1.0.0", made.digest, made.manifest, "stable")

    yield make
    for key in keys:
        platform.store.delete_all(key)


def heavier(megabytes: int) -> bytes:
    """As GOOD, with weights of that size that change nothing."""
    made = onnx.ModelProto.FromString(
        graphs.graph(
            "place = Cast <to = 7> (features) weight = Gather (weights, place) nothing = Mul (weight, zero) "
            "sum = Add (nothing, features) probabilities = Softmax <axis = 1> (sum)"
        )
    )
    weights = np.random.default_rng(megabytes).random(megabytes * 2**18, np.float32)
    made.graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    return bytes(made.SerializeToString())


def said(model: object) -> str:
    assert isinstance(model, Model)
    [label] = graphs.labels(model, [ROW])
    return label.label


def openings(name: str) -> float:
    [found] = metrics.MODEL_OPEN_SECONDS.labels(name).collect()
    return next(item.value for item in found.samples if item.name.endswith("_count"))


def names(shelf: Shelf) -> list[str]:
    return [name.partition("@")[0] for name in shelf.loaded()]


@pytest.fixture
def shelf(platform: Platform, tmp_path: Path) -> Shelf:
    return Shelf(platform.store, tmp_path / "cache", memory_mb=THREE)


def test_what_was_asked_for_longest_ago_makes_room(shelf: Shelf, make_model: MakeModel) -> None:
    a, b, c, d, e = (make_model(f"shelf-{letter}") for letter in "abcde")
    for asked in (a, b, c, a, d, a, e):
        assert said(shelf.open(asked)) == asked.model
    assert names(shelf) == [a.model, d.model, e.model]
    assert [openings(each.model) for each in (a, b, c, d, e)] == [1, 1, 1, 1, 1]
    assert said(shelf.open(b)) == b.model
    assert names(shelf) == [a.model, b.model, e.model]
    assert metrics.MODELS_CLOSED.labels(d.model)._value.get() == 1


def test_what_is_in_use_stays_and_others_go(shelf: Shelf, make_model: MakeModel) -> None:
    a, b, c, d, e = (make_model(f"used-{letter}") for letter in "abcde")
    held = shelf.open(a)
    for asked in (b, c, d, e):
        shelf.open(asked)
    assert names(shelf) == [a.model, d.model, e.model]
    assert shelf.open(a) is held
    assert openings(a.model) == 1


def test_what_all_is_in_use_is_opened_nevertheless_and_goes_when_its_use_ends(
    shelf: Shelf, make_model: MakeModel
) -> None:
    made = [make_model(f"all-{letter}") for letter in "abcde"]
    held = [shelf.open(asked) for asked in made]
    assert len(names(shelf)) == 5
    # What is no longer kept is still there, and nobody opens it again.
    assert [shelf.open(asked) for asked in made] == held
    assert [said(model) for model in held] == [asked.model for asked in made]
    held.clear()
    assert names(shelf) == [asked.model for asked in made[2:]]
    assert [openings(asked.model) for asked in made] == [1] * 5


def test_many_ask_for_more_models_than_fit_and_each_is_answered(shelf: Shelf, make_model: MakeModel) -> None:
    made, threads = [make_model(f"many-{number}") for number in range(9)], 6

    def ask(number: int) -> int:
        asked = made[(number * number + number // 7) % len(made)]
        assert said(shelf.predictor(asked)) == asked.model
        return len(names(shelf))

    with ThreadPoolExecutor(threads) as pool:
        open_at_once = list(pool.map(ask, range(600)))
    # Each thread holds one at most, or opens it.
    assert max(open_at_once) <= 3 + threads
    assert len(names(shelf)) <= 3
    assert sum(openings(asked.model) for asked in made) > len(made)


def test_nobody_waits_for_a_model_that_others_open(shelf: Shelf, make_model: MakeModel) -> None:
    # Its golden example takes seconds.
    turns = 2e6
    slow = make_model("slow", graphs.graph(graphs.TURNS), golden={"x": turns, "y": turns - 1})
    there, new = make_model("there"), make_model("new")
    shelf.open(there)
    with ThreadPoolExecutor(2) as pool:
        opening = [pool.submit(shelf.open, slow) for _ in range(2)]
        until(lambda: slow.digest in shelf._kept._coming)
        assert said(shelf.open(there)) == there.model
        assert said(shelf.open(new)) == new.model
        assert not any(future.done() for future in opening)
        assert opening[0].result() is opening[1].result()
    assert openings(slow.model) == 1


def test_no_more_models_are_opened_at_a_time_than_may_be(
    shelf: Shelf, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [make_model(f"m{number}") for number in range(OPENINGS + 2)]
    real, go_on, begun = open_model, threading.Event(), []

    def slowly(*given: Any, **more: Any) -> Any:
        begun.append(1)
        assert go_on.wait(60)
        return real(*given, **more)

    monkeypatch.setattr("registry.shelf.model.open_model", slowly)
    with ThreadPoolExecutor(len(made)) as pool:
        opening = [pool.submit(shelf.open, each) for each in made]
        until(lambda: len(begun) == OPENINGS)
        with contextlib.suppress(AssertionError):
            until(lambda: len(begun) > OPENINGS, 1.0)
        assert len(begun) == OPENINGS
        go_on.set()
        assert [said(future.result(60)) for future in opening] == [each.model for each in made]


def test_a_model_that_is_larger_than_the_room_is_opened_alone(shelf: Shelf, make_model: MakeModel) -> None:
    small, large = make_model("small"), make_model("large", heavier(THREE))
    shelf.open(small)
    assert said(shelf.open(large)) == large.model
    assert names(shelf) == [large.model]
    assert said(shelf.open(small)) == small.model
    assert names(shelf) == [small.model]


def test_a_model_that_does_not_open_takes_no_room(platform: Platform, shelf: Shelf, make_model: MakeModel) -> None:
    broken, a, b, c = make_model("broken", golden={"x": 1, "y": 2}), *map(make_model, "acd")
    with pytest.raises(errors.BundleInvalid):
        shelf.open(broken)
    for asked in (a, b, c):
        shelf.open(asked)
    assert names(shelf) == ["a", "c", "d"]


def test_what_it_took_to_open_a_model_is_logged(
    shelf: Shelf, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[dict[str, Any]] = []
    monkeypatch.setattr(registry.shelf, "log", SimpleNamespace(info=lambda event, **said: logged.append(said)))
    made = make_model("logged")
    shelf.open(made)
    [said] = logged
    took_s = [said.pop(name) for name in ("fetch_s", "open_s", "golden_s")]
    assert said == {"model": "logged", "version": "1.0.0", "bytes": memory.weight(shelf.open(made).bundle)}
    assert all(0 <= seconds < 60 and seconds == round(seconds, 3) for seconds in took_s)


def test_who_only_wants_to_know_whether_models_open_opens_each_once(shelf: Shelf, make_model: MakeModel) -> None:
    made = [make_model(f"asked-{letter}") for letter in "abcd"]
    for _ in range(3):
        for asked in made:
            shelf.ensure(asked)
    assert [openings(asked.model) for asked in made] == [1] * 4


def test_a_model_that_is_larger_than_a_device_may_give_is_refused_and_of_others_only_so_many_stay(
    platform: Platform, make_model: MakeModel, tmp_path: Path
) -> None:
    made = [make_model(f"small-{letter}") for letter in "ab"]
    large, device = make_model("large", heavier(20)), Device("CPUExecutionProvider", memory_mb=7)
    shelf = Shelf(platform.store, tmp_path / "limited", device=device, memory_mb=60)
    for asked in made:
        shelf.open(asked)
    assert names(shelf) == [made[1].model]
    with pytest.raises(errors.BundleInvalid) as refused:
        shelf.open(large)
    assert "COATCHECK_GPU_MEMORY_MB is too little for it: it takes 30" in str(refused.value.__cause__)


def test_memory_goes_back_to_the_system(platform: Platform, make_model: MakeModel, tmp_path: Path) -> None:
    made = [make_model(f"heavy-{number}", heavier(20)) for number in range(8)]
    # Room for two.
    shelf = Shelf(platform.store, tmp_path / "heavy", memory_mb=60)
    shelf.open(made[0])
    gc.collect()
    memory.trim()
    before, most = resident_mb(), 0.0
    for asked in made * 2:
        shelf.open(asked)
        most = max(most, resident_mb() - before)
    assert len(names(shelf)) == 2
    # One more than at first, and what Python allows itself.
    assert most < 30


def resident_mb() -> float:
    [found] = re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found) / 1024


@pytest.mark.parametrize(("said_there", "share"), [("max\n", 1), ("1048576\n", None), ("", 1)])
def test_where_nothing_is_set_it_is_a_quarter_of_what_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said_there: str, share: int | None
) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(said_there)
    monkeypatch.setattr(memory, "MEMORY_MAX", limit)
    [total_kb] = re.findall(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    assert memory.budget(0) == (int(total_kb) * 1024 // 4 if share else 2**18)
    assert memory.budget(7) == 7 * 2**20
