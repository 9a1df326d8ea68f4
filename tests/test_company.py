"""Rows that change one another, and networks that never say the same twice: kept apart, or said."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import whylook
from whylook import attribute
from whylook.engine.company import mixes_rows
from whylook.engine.folding import Fold
from whylook.engine.probe import Probe
from whylook.engine.targets import Score
from whylook.engine.trace import NOT_A_NUMBER

X = torch.randn(3, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A small network behind something that is done to its input."""

    def __init__(self, front: Callable[[Tensor], Tensor] = lambda x: x, norm: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.front, self.norm = front, norm or nn.Identity()
        self.conv, self.fc = nn.Conv2d(3, 6, 3), nn.Linear(6, 3)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.conv(self.front(x))).relu().mean((2, 3)))


def centered(x: Tensor) -> Tensor:
    return x * 0.1 + 3 * (x - x.mean(0))


def loud(x: Tensor) -> Tensor:
    return x * 2 if x.max() > 3.5 else x


MIXING = {
    "mean of the batch": lambda: Net(centered),
    "batch statistics": lambda: Net(norm=nn.BatchNorm2d(6, track_running_stats=False)),
    "branch by value": lambda: Net(loud),
}


@pytest.mark.filterwarnings("ignore:.*The shares add up:UserWarning")
@pytest.mark.parametrize("name", list(MIXING))
@pytest.mark.parametrize(
    ("method", "parameters"),
    [("gradient", {}), ("grad-cam", {"layer": "conv"}), ("smoothgrad", {"samples": 20}), ("occlusion", {}),
     ("rise", {"samples": 40}), ("integrated-gradients", {"steps": 4, "baseline": X.flip(0)})],
)  # fmt: skip
def test_rows_that_change_one_another_are_run_by_themselves(
    name: str, method: str, parameters: dict[str, object]
) -> None:
    network = MIXING[name]()
    x = X * torch.tensor([1.0, 0.1, 0.1], dtype=X.dtype)[:, None, None, None]  # only the first is loud
    assert mixes_rows(network, (x,))
    together = attribute(network, x, method, [0, 1, 2], **parameters)
    for i in range(3):
        own = {k: v[i : i + 1] if isinstance(v, Tensor) else v for k, v in parameters.items()}
        assert torch.equal(together[i : i + 1], attribute(network, x[i : i + 1], method, i, **own))


def test_rows_that_do_not_are_run_together() -> None:
    assert not mixes_rows(Net(), (X,))
    assert not mixes_rows(Net(norm=nn.BatchNorm2d(6)).eval(), (X,))
    assert not mixes_rows(Net(lambda x: F.dropout(x, 0.5, training=True)), (X,))


class Remembers(Net):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(1, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        self.last += 1
        return super().forward(x) * self.last


class Caches(Net):
    """Keeps what does not change its answers: a count, and a table made when it is first needed."""

    def forward(self, x: Tensor) -> Tensor:
        self.calls = getattr(self, "calls", 0) + 1
        if not hasattr(self, "table"):
            self.table = torch.linspace(0, 1, x.shape[-1], dtype=x.dtype)
        return super().forward(x + self.table)


UNSTEADY = {
    "dropout": lambda: Net(lambda x: F.dropout(x, 0.5, training=True)),
    "numpy": lambda: Net(lambda x: x * float(np.random.random_sample())),
    "memory": Remembers,
}


@pytest.mark.parametrize("name", list(UNSTEADY))
@pytest.mark.parametrize("method", ["gradient", "grad-cam", "occlusion", "lrp"])
def test_a_network_that_never_says_the_same_twice_is_said(name: str, method: str) -> None:
    with pytest.warns(UserWarning, match=f"{method}: .*answers the same input differently"):
        attribute(UNSTEADY[name](), X[:1], method, 0)


@pytest.mark.parametrize("network", [Net(), Caches(), Net(norm=nn.BatchNorm2d(6))])
def test_a_network_that_does_is_not(network: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attribute(network, X, "gradient", 0)


def test_explain_says_it_with_the_map() -> None:
    model = whylook.load_model(
        Net(lambda x: F.dropout(x, 0.5, training=True)).float(),
        preprocess=whylook.Preprocess((16, 16), resize="none", mean=0.5, std=0.5),
    )
    picture = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    assert "answers the same input differently" in str(whylook.explain(picture, model, "gradient").maps[0].warning)


def test_logits_that_are_no_numbers_are_said() -> None:
    with pytest.warns(UserWarning, match=NOT_A_NUMBER.replace("(", ".").replace(")", ".")):
        attribute(Net(lambda x: x / 0 * 0), X, "gradient", 0)


@pytest.mark.parametrize("fold", [None, Fold({}, channels_last=False, largest=1, total=1)])
def test_a_chunk_that_is_tried_again_is_what_it_was(fold: Fold | None) -> None:
    class Short(Net):
        """Writes to its input, and then has no memory for more than one row."""

        def forward(self, x: Tensor) -> Tensor:
            x.mul_(2)
            if len(x) > 1:
                raise RuntimeError("not enough memory")
            return super().forward(x)

    network = Short()
    probe = Probe(network, torch.tensor([[0]]), Score(), fold=fold)
    x = X.clone()
    with torch.no_grad():
        assert torch.equal(probe.scores(x), torch.cat([Net.forward(network, 2 * row[None]) for row in X])[:, :1])
    assert torch.equal(x, X)


@pytest.mark.parametrize(
    ("x", "arguments", "message"),
    [
        (X.where(X > -2, torch.nan), {}, "values that are not numbers"),
        (X.to("meta"), {}, "on the meta device"),
        (X, {"targets": [True, 1, 2]}, "whole numbers"),
        (X, {"targets": [0, 2**70, 1]}, "is not an index"),
        (X, {"targets": 0, "against": np.True_}, "is not a class index"),
    ],
)
def test_what_cannot_be_right_is_said_before_it_is_run(x: Tensor, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(whylook.errors.UsageError, match=message):
        attribute(Net(), x, "gradient", **arguments)


@pytest.mark.parametrize("against", [np.int64(2), torch.tensor(2)])
def test_against_is_a_number_in_any_wrapping(against: object) -> None:
    assert torch.equal(
        attribute(Net(), X, "gradient", 0, against=against), attribute(Net(), X, "gradient", 0, against=2)
    )
