"""Black boxes: functions and ONNX files, in `attribute`, in `load_model` and in `explain`."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import whylook
from toys import batch, build
from whylook import attribute, explain, load_model
from whylook.engine.blackbox import BlackBox
from whylook.engine.request import Request
from whylook.engine.run import run
from whylook.engine.targets import Score, resolve
from whylook.errors import ModelError, UsageError
from whylook.methods import METHODS

FED = whylook.Preprocess((32, 32), resize="none", mean=(0.4, 0.5, 0.6), std=0.5)
ABLE = tuple(m.name for m in METHODS if m.black_box)
CHEAP = {"rise": {"samples": 50}, "lime": {"cells": 3}, "kernel-shap": {"cells": 3}, "occlusion": {"window": 8}}


def net() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    ).eval()


def picture() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (32, 40, 3), dtype=np.uint8)


def test_methods_that_need_only_scores_are_known() -> None:
    assert {"occlusion", "rise", "lime", "kernel-shap"} <= set(ABLE)
    assert not {"gradient", "grad-cam", "smoothgrad"} & set(ABLE)


@pytest.mark.parametrize("name", ABLE)
def test_a_function_has_the_map_of_the_network_it_hides(name: str) -> None:
    toy = build("plain")
    x = batch(toy)
    more = {**CHEAP.get(name, {}), **({"window": 4} if name == "occlusion" else {})}
    expected = attribute(toy, x, name, 2, **more)
    # A function cannot be looked into: occlusion of the network computes only what a patch can reach.
    near = {"rtol": 1e-9, "atol": 1e-12} if name == "occlusion" else {"rtol": 0, "atol": 0}
    torch.testing.assert_close(attribute(lambda v: toy(v), x, name, 2, **more), expected, **near)

    def of_arrays(v: np.ndarray) -> np.ndarray:
        return toy(torch.from_numpy(v.astype(np.float64))).detach().numpy()

    torch.testing.assert_close(attribute(of_arrays, x, name, 2, **more), expected, **near)
    assert attribute(of_arrays, x.float(), name, 2, **more).dtype == torch.float32


@pytest.mark.parametrize("name", [n for n in METHODS.names() if n not in ABLE])
def test_what_looks_inside_refuses_and_names_what_works(name: str) -> None:
    with pytest.raises(whylook.Unsupported, match=rf"{re.escape(name)} needs .* black box .* use .*occlusion.*rise"):
        attribute(lambda v: v.mean((2, 3)), torch.rand(1, 3, 16, 16), name, 0)


def test_a_function_is_given_arrays_only_if_it_cannot_take_tensors() -> None:
    kinds = []

    def numpy_only(v: np.ndarray) -> list[list[float]]:
        kinds.append(type(v))
        return (v.transpose(0, 2, 3, 1).mean((1, 2)) @ np.eye(3)).tolist()  # a tensor's transpose takes two axes

    attribute(numpy_only, torch.rand(1, 3, 8, 8), "occlusion", 0)
    assert kinds[0] is Tensor
    assert set(kinds[1:]) == {np.ndarray}

    def broken(v: Tensor) -> Tensor:
        return v.no_such_thing()

    with pytest.raises(AttributeError, match="'Tensor' object has no attribute"):
        attribute(broken, torch.rand(1, 3, 8, 8), "occlusion", 0)


def test_one_score_per_row_is_a_one_logit_head() -> None:
    x = torch.rand(2, 3, 8, 8)
    ours = attribute(lambda v: v.mean((1, 2, 3)), x, "occlusion", [[0, 1]] * 2, window=8)
    torch.testing.assert_close(ours[:, 1, 0, 0], x.mean((1, 2, 3)))
    torch.testing.assert_close(ours[:, 0], -ours[:, 1])


def test_what_is_no_function_of_pictures_is_said() -> None:
    x = torch.rand(1, 3, 8, 8)
    for bad, words in ((nn.Linear, "not the class Linear"), (3, "not a int"), ("resnet50", "not a str")):
        with pytest.raises(UsageError, match=words):
            attribute(bad, x, "rise")
    with pytest.raises(whylook.Unsupported, match="returns NoneType, not scores"):
        attribute(lambda v: None, x, "rise")
    with pytest.raises(whylook.Unsupported, match="output has shape"):
        attribute(lambda v: v, x, "rise")


def test_explain_takes_a_function(tmp_path: Path) -> None:
    toy = net()

    def remote(v: Tensor) -> Tensor:
        return toy(v)

    model = load_model(remote, preprocess=FED, labels=["a", "b", "c", "d"], name="far away")
    result = explain(picture(), model, [*ABLE, "grad-cam", "gradient"], parameters={n: CHEAP[n] for n in CHEAP})
    assert {m.method for m in result.maps} == set(ABLE)
    assert {f[1] for f in result.failures} == {"grad-cam", "gradient"}
    known = load_model(toy, preprocess=FED, name="n")
    inside = explain(picture(), known, "occlusion", parameters={"occlusion": CHEAP["occlusion"]})
    np.testing.assert_array_equal(result.map("far away", "occlusion").values, inside.map("n", "occlusion").values)
    result.save(tmp_path)
    record = json.loads((tmp_path / "result.json").read_text())["models"][0]
    assert record["fingerprint"] is None
    assert "no fingerprint" in record["notes"][0]
    assert record["source"].endswith("remote")


def test_a_function_must_say_how_it_is_fed() -> None:
    def remote(v: Tensor) -> Tensor:
        return v

    with pytest.raises(UsageError, match="How remote is fed is not known: pass preprocess="):
        explain(picture(), remote, "rise")


def test_probabilities_become_logits_and_that_is_said() -> None:
    toy = net()
    model = load_model(lambda v: toy(v).softmax(1), preprocess=FED, name="p")
    assert any("logarithms" in n for n in model.notes)
    known = load_model(toy, preprocess=FED, name="l")
    a, b = (explain(picture(), m, "occlusion", parameters={"occlusion": CHEAP["occlusion"]}) for m in (model, known))
    np.testing.assert_allclose(a.predictions["p"].probabilities, b.predictions["l"].probabilities, atol=1e-6)
    assert not any("logarithms" in n for n in load_model(lambda v: toy(v), preprocess=FED).notes)


def saved(
    path: Path,
    toy: nn.Module,
    shape: list[object],
    *,
    last: bool = False,
    softmax: bool = False,
    before: Sequence[onnx.ValueInfoProto] = (),
    scores: bool = True,
    **told: str,
) -> Path:
    """The network of `net` as an ONNX file; `before` its scores other outputs."""
    weights = {n: p.detach().numpy() for n, p in toy.named_parameters()}
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])] if last else []
    nodes += [
        helper.make_node("Conv", ["t" if last else "x", "0.weight", "0.bias"], ["a"], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "4.weight", "4.bias"], ["e"], transB=1),
    ]
    nodes += [helper.make_node("Softmax", ["e"], ["f"])] if softmax else []
    nodes += [helper.make_node("ArgMax", ["e"], ["class"], axis=1, keepdims=0)]
    graph = helper.make_graph(
        nodes, "toy", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [*before, *[helper.make_tensor_value_info("f" if softmax else "e", TensorProto.FLOAT, [shape[0], 4])] * scores],
        [numpy_helper.from_array(v, n) for n, v in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, told)
    onnx.save(model, path)
    return path


TOLD = {"mean": "0.4,0.5,0.6", "std": "0.5", "labels": '["a", "b", "c", "d"]'}


@pytest.mark.parametrize(
    ("shape", "last"),
    [(["n", 3, 32, 32], False), ([1, 3, 32, 32], False), ([3, 32, 32, 3], True), (["n", 3, "h", "w"], False)],
)
def test_an_onnx_file_has_the_map_of_its_network(tmp_path: Path, shape: list[object], last: bool) -> None:
    toy, told = net(), {**TOLD, "std": "0.5,0.5,0.5"}
    if "h" in shape:
        told["input_size"] = "32"
    path = saved(tmp_path / "toy.onnx", toy, shape, last=last, **told)
    model = load_model(path if last else f"onnx:{path}")
    assert model.preprocess.mean == (0.4, 0.5, 0.6)
    assert model.preprocess.input_size == (32, 32)
    assert model.labels == ("a", "b", "c", "d")
    assert len(model.fingerprint) == 12
    feeding = model.preprocess
    ours = explain(picture(), [model, load_model(toy, preprocess=feeding, name="torch")], "occlusion",
                   parameters={"occlusion": CHEAP["occlusion"]})  # fmt: skip
    np.testing.assert_allclose(ours.predictions["toy"].logits, ours.predictions["torch"].logits, atol=1e-5)
    np.testing.assert_allclose(*(ours.map(n, "occlusion").values for n in ("toy", "torch")), atol=1e-5)


def test_the_fingerprint_is_that_of_the_file_and_of_the_weights_beside_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "toy.onnx", net(), ["n", 3, 32, 32], **TOLD)
    first = load_model(path).fingerprint
    assert load_model(path).fingerprint == first
    (tmp_path / "toy.onnx.data").write_bytes(b"weights")
    assert load_model(path).fingerprint != first


def test_what_is_not_known_of_an_onnx_file_is_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path / "toy.onnx", net(), ["n", 3, 32, 32])
    with pytest.raises(ModelError, match="is fed is not known: give --mean, --std"):
        load_model(path)
    assert load_model(path, mean=0.5, std="0.5,0.5,0.5", labels=list("wxyz")).labels == tuple("wxyz")
    assert load_model(path, preprocess=FED).labels is None
    with pytest.raises(UsageError, match="takes pictures of 32×32, not 64×64"):
        load_model(path, mean=0.5, std=0.5, input_size=64)


def test_probabilities_of_an_onnx_file_become_logits(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path / "p.onnx", net(), ["n", 3, 32, 32], softmax=True, **TOLD))
    assert any("logarithms" in n for n in model.notes)


CLASS = helper.make_tensor_value_info("class", TensorProto.INT64, ["n"])
FEATURES = helper.make_tensor_value_info("d", TensorProto.FLOAT, ["n", 6])
MAP = helper.make_tensor_value_info("b", TensorProto.FLOAT, ["n", 6, "h", "w"])


def test_of_several_outputs_the_one_with_scores_is_read(tmp_path: Path) -> None:
    toy, shape = net(), ["n", 3, 32, 32]
    plain = load_model(saved(tmp_path / "toy.onnx", toy, shape, **TOLD))
    model = load_model(saved(tmp_path / "more.onnx", toy, shape, before=[CLASS, MAP], **TOLD))
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(model.network(x), plain.network(x))
    with pytest.raises(ModelError, match=r"d tensor.float. .*which of them is the class scores is not known"):
        load_model(saved(tmp_path / "two.onnx", toy, shape, before=[FEATURES], **TOLD))
    with pytest.raises(ModelError, match=r"class tensor.int64.*none of it is class scores"):
        load_model(saved(tmp_path / "class.onnx", toy, shape, before=[CLASS], scores=False, **TOLD))


def test_a_function_may_write_all_its_answers_to_one_place_and_to_its_input() -> None:
    weights = torch.randn(3 * 16 * 16, 3, generator=torch.Generator().manual_seed(0)).numpy()
    answers = np.zeros((256, 3), np.float32)

    def plain(images: np.ndarray) -> np.ndarray:
        return (np.asarray(images) * 2).reshape(len(images), -1) @ weights

    def careless(images: np.ndarray) -> np.ndarray:
        images *= 2
        answers[: len(images)] = np.asarray(images).reshape(len(images), -1) @ weights
        return answers[: len(images)]

    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    wanted = [Request(METHODS["occlusion"])]
    (seen, _), (expected, _) = (
        run(BlackBox(f), (x,), wanted, lambda logits, one: resolve(None, logits, one), Score())
        for f in (careless, plain)
    )
    assert torch.equal(seen.logits, expected.logits)
    for name, parameters in (("occlusion", {}), ("rise", {"samples": 300}), ("kernel-shap", {})):
        found, right = (whylook.attribute(f, x.clone(), name, 0, **parameters) for f in (careless, plain))
        assert torch.equal(found, right)


def test_files_that_cannot_be_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="is not there"):
        load_model(f"onnx:{tmp_path}/none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="damaged, or not an ONNX file"):
        load_model(tmp_path / "bad.onnx")
    with pytest.raises(ModelError, match=r"give it as the model, -m .*bad\.onnx"):
        load_model("mobilenetv3_small_050", checkpoint=tmp_path / "bad.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match=r"pip install 'whylook\[onnx\]'"):
        load_model(tmp_path / "bad.onnx")
