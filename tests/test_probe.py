"""The probe: chunks, memory that runs out, precision, and inputs that no gradient reaches."""

import pytest
import torch
from torch import Tensor, nn

import whylook
from toys import batch, build
from whylook.engine import probe
from whylook.engine.folding import Fold
from whylook.engine.targets import Score
from whylook.errors import OutOfMemory, UsageError
from whylook.methods import METHODS
from whylook.preprocess import Preprocess

TARGET = torch.tensor([[1]])


class Small(nn.Module):
    """A network that fails on more than `room` rows as PyTorch's allocators do, and notes what it was given."""

    def __init__(self, room: int, error: type[RuntimeError] = RuntimeError) -> None:
        super().__init__()
        self.fc, self.room, self.error, self.given = nn.Linear(4, 3).double(), room, error, []

    def forward(self, x: Tensor) -> Tensor:
        self.given.append(len(x))
        if len(x) > self.room:
            raise self.error("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried to ...")
        return self.fc(x.tanh())


@pytest.mark.parametrize("error", [RuntimeError, torch.cuda.OutOfMemoryError])
def test_a_chunk_is_halved_where_memory_runs_out(error: type[RuntimeError]) -> None:
    network, counted = Small(5, error), []
    x = torch.randn(40, 4, dtype=torch.float64)
    with probe.probing(network, TARGET, Score(), progress=counted.append) as evaluations:
        scores, gradients = evaluations.scores(x), evaluations.gradients(x)
        assert evaluations.forwards == 80  # what came to nothing is not counted
        assert evaluations.backwards == 40
    assert sum(counted) == 80
    network.room = 1000
    torch.testing.assert_close(scores, network(x)[:, 1:2])
    assert gradients.shape == (1, 40, 4)
    assert max(network.given[-9:-1]) <= 5  # later chunks do not try the large one again


def test_one_row_that_does_not_fit_is_said_in_words() -> None:
    network = Small(0)
    with probe.probing(network, TARGET, Score()) as evaluations, pytest.raises(OutOfMemory, match="input of 4 needs"):
        evaluations.scores(torch.randn(3, 4, dtype=torch.float64))


def test_other_errors_are_the_network_s_own() -> None:
    class Breaks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("boom")

    with probe.probing(Breaks(), TARGET, Score()) as evaluations, pytest.raises(RuntimeError, match="boom"):
        evaluations.scores(torch.randn(3, 4))


def rows_of(fold: Fold | None, x: Tensor, *, backward: bool) -> int:
    return probe.Probe(nn.Identity(), TARGET, Score(), fold=fold)._usual_rows((x,), backward=backward)


def test_chunks_keep_activations_small_and_graphs_in_bounds() -> None:
    x = torch.zeros(1, 3, 224, 224)
    assert rows_of(None, x, backward=False) == 8
    assert rows_of(Fold({}, False, largest=64 * 112 * 112 * 4, total=1), x, backward=False) == 10
    assert rows_of(Fold({}, False, largest=64 * 224 * 224 * 4, total=1), x, backward=True) == 2
    assert rows_of(Fold({}, False, largest=1, total=probe._BUDGET // 3), x, backward=True) == 3
    assert rows_of(Fold({}, False, largest=1 << 40, total=1 << 50), x, backward=True) == 1


def test_no_graph_is_stored_where_only_scores_are_asked_for() -> None:
    toy, seen = build("batch-norm"), []
    toy.head.register_forward_hook(lambda m, i, o: seen.append(o.requires_grad))
    with probe.probing(toy, TARGET, Score(), inputs=(batch(toy, 1),)) as evaluations:
        evaluations.scores(batch(toy, 3))
    assert seen
    assert not any(seen)


def test_bfloat16_is_coarse_only_where_it_is_asked_for() -> None:
    toy = build("batch-norm").float()
    x = batch(toy).float()
    plain = whylook.attribute(toy, x, "occlusion", 1)
    coarse = whylook.attribute(toy, x, "occlusion", 1, precision="bfloat16")
    assert coarse.dtype == torch.float32
    assert not torch.equal(coarse, plain)
    logits = toy(x).abs().max()
    assert (coarse - plain).abs().max() < 0.02 * logits
    assert (
        len(coarse.unique()) > coarse.numel() / 2
    )  # the head's own precision: drops are not in steps of rounded logits
    assert torch.equal(whylook.attribute(toy, x, "occlusion", 1), plain)


def test_bfloat16_is_for_scores_alone() -> None:
    toy = build("plain").float()
    x = batch(toy).float()
    for name in ("gradient", "smoothgrad", "grad-cam", "integrated-gradients"):
        with pytest.raises(UsageError, match=f"{name} cannot be made in bfloat16.*occlusion"):
            whylook.attribute(toy, x, name, 1, precision="bfloat16")
    with pytest.raises(UsageError, match="precision='half' is not known"):
        whylook.attribute(toy, x, "occlusion", 1, precision="half")
    assert "occlusion" in METHODS.names()


def test_maps_made_in_bfloat16_say_so() -> None:
    model = whylook.load_model(build("plain").float(), preprocess=Preprocess(input_size=(16, 16)))
    picture = torch.rand(20, 20, 3).numpy()
    told = whylook.explain(picture, model, ["gradient", "occlusion"], precision="bfloat16")
    assert "precision" not in told.map(model.name, "gradient").parameters
    assert told.map(model.name, "occlusion").parameters["precision"] == "bfloat16"
    with pytest.raises(UsageError, match="gradient cannot be made in bfloat16"):
        whylook.explain(picture, model, "gradient", precision="bfloat16")


def test_models_are_moved_to_a_device_that_is_there() -> None:
    network = build("plain").float()
    picture = torch.rand(20, 20, 3).numpy()
    model = whylook.load_model(network, preprocess=Preprocess(input_size=(16, 16)), device="auto")
    assert len(whylook.explain(picture, model, "gradient", device="cpu").maps) == 1
    assert next(network.parameters()).device.type == "cpu"
    for load in (
        lambda: whylook.load_model(network, preprocess=Preprocess(), device="nothing:3"),
        lambda: whylook.explain(picture, model, "gradient", device="nothing:3"),
    ):
        with pytest.raises(UsageError, match="There is no device 'nothing:3' on this machine"):
            load()


GPU = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None


@pytest.mark.skipif(GPU is None, reason="this machine has no GPU")
@pytest.mark.parametrize("name", ["gradient", "grad-cam", "smoothgrad", "occlusion", "integrated-gradients"])
def test_a_gpu_gives_the_maps_of_the_cpu(name: str) -> None:
    toy = build("batch-norm").float()
    x = batch(toy).float()
    expected = whylook.attribute(toy, x, name, 1)
    toy.to(GPU)
    found = whylook.attribute(toy, x.to(GPU), name, 1)
    assert found.device.type == GPU
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
