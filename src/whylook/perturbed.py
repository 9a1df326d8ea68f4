"""What a network answers when parts of a picture are filled in: one picture, every map, class, score and metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whylook import baselines
from whylook.engine.company import mixes_rows
from whylook.engine.generators import seed_all
from whylook.engine.probe import Probe, probing
from whylook.engine.targets import EveryLogit, Score, ScoreName
from whylook.errors import Unsupported, UsageError
from whylook.imputation import noisy_linear
from whylook.metrics.metric import Floats, fingerprint

_ROWS = 32  # made at once: what the probe takes, or a multiple of it
NOISY_LINEAR = "noisy-linear"


class Board:
    """Evaluations of one picture with parts filled in; the same question is asked of the network once.

    A question is a whole set of masks with what fills them. It is always evaluated by itself, so that its answer has
    the same bits whatever else was asked before; sets are large enough to fill the probe's batches.

    Parameters
    ----------
    probe : evaluates; see `perturbing`.
    every : the score it was made with.
    x : [1, c, h, w], the picture.
    seed : of the noise in fillings, and of what metrics draw for all maps together.
    """

    def __init__(self, probe: Probe, every: EveryLogit, x: Tensor, seed: int) -> None:
        self._probe, self._every, self._x, self.seed = probe, every, x, seed
        self.picture = fingerprint(x.cpu().numpy())
        self._answers: dict[tuple[Any, ...], Tensor] = {}
        self._fillings: dict[Any, tuple[Any, Tensor]] = {}  # with the baseline: its id stays taken

    @property
    def input_shape(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return (self._x.shape[2], self._x.shape[3])

    @property
    def forwards(self) -> int:
        """Evaluations made so far, in rows."""
        return self._probe.forwards

    def logits(self, keep: NDArray[Any], baseline: Any) -> tuple[Tensor, bool]:
        """Answers to the picture with parts filled in.

        Parameters
        ----------
        keep : [b, h', w'] at any grid, each cell a block of the picture: bool, or float in [0, 1] for mixtures.
        baseline : as for methods (a number, a tensor, `mean`, `blur`), or `noisy-linear` for bool masks.

        Returns
        -------
        float64 [b, classes] on the CPU, and whether they come from one logit.
        """
        keep = np.ascontiguousarray(keep)
        name = baseline if isinstance(baseline, str | int | float) else id(self._filling(baseline))
        key = (name, keep.shape, keep.dtype.str, blake2b(keep.tobytes(), digest_size=16).digest())
        if key not in self._answers:
            # A network that draws numbers of its own draws the same for every question; `guarded` puts the state back.
            seed_all(self._x.device, self.seed)
            parts = [self._probe.scores(self._filled(part, baseline)) for part in _pieces(keep)]
            self._answers[key] = torch.cat(parts).double().cpu()
        return self._answers[key], self._every.one_logit

    def _filled(self, keep: NDArray[Any], baseline: Any) -> Tensor:
        rows, columns = (
            np.minimum((np.arange(n) + 0.5) * g / n, g - 1).astype(int)
            for n, g in zip(self.input_shape, keep.shape[1:], strict=True)
        )
        mask = torch.from_numpy(keep[:, rows][:, :, columns])
        if isinstance(baseline, str) and baseline == NOISY_LINEAR:
            if mask.dtype != torch.bool:
                raise UsageError("noisy-linear fills whole pixels; mixtures need another baseline, such as blur.")
            return noisy_linear(self._x, ~mask, self.seed)
        share = mask.to(self._x)[:, None]
        return share * self._x + (1 - share) * self._filling(baseline)

    def _filling(self, baseline: Any) -> Tensor:
        key = baseline if isinstance(baseline, str | int | float) else id(baseline)
        if key not in self._fillings:
            filling = baselines.one_like(baseline, self._x)
            assert isinstance(filling, Tensor)
            self._fillings[key] = baseline, filling
        return self._fillings[key][1]


def _pieces(keep: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(keep), _ROWS):
        yield keep[start : start + _ROWS]


class Perturbed:
    """A `Board` seen from one class: what metrics are given.

    Parameters
    ----------
    board : the evaluations.
    target : the class.
    softmax : whether the classes exclude each other.
    against : a second class: logit and margin are then the first's logit less the second's, as in a map of both.
    """

    def __init__(self, board: Board, target: int, *, softmax: bool = True, against: int | None = None) -> None:
        self.board, self.target, self.softmax, self.against = board, target, softmax, against

    @property
    def input_shape(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return self.board.input_shape

    @property
    def seed(self) -> int:
        """Of what is drawn once for all maps of a picture."""
        return self.board.seed

    @property
    def picture(self) -> int:
        """Tells the picture from others."""
        return self.board.picture

    def scores(self, keep: NDArray[Any], baseline: Any, score: ScoreName) -> Floats:
        """Scores float64 [b] of the picture where only the blocks `keep` [b, h', w'] are left."""
        logits, one_logit = self.board.logits(keep, baseline)
        index = torch.full((len(logits), 1), self.target)
        pair = self.against is not None and score != "probability"
        asked = Score("logit", self.against) if pair else Score(score, softmax=self.softmax)
        return np.asarray(asked(logits, index, one_logit)[:, 0].numpy(), np.float64)

    def clean(self, score: ScoreName) -> float:
        """Score of the picture as it is."""
        return float(self.scores(np.ones((1, 1, 1), bool), 0, score)[0])

    def empty(self, baseline: Any, score: ScoreName) -> float:
        """Score where everything is filled in."""
        return float(self.scores(np.zeros((1, 1, 1), bool), baseline, score)[0])


@contextmanager
def perturbing(
    network: nn.Module, x: Tensor, *, seed: int = 0, evaluations: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Board]:  # fmt: skip
    """Give a `Board` of one picture, with the network guarded while the body runs.

    Parameters
    ----------
    network : the module; untouched afterwards.
    x : [1, c, h, w], a prepared picture on the network's device.
    seed : of the noise in fillings and of the network's own randomness.
    evaluations : how many will be asked for, where they are few: see `probing`.
    progress : called with the number of evaluations done.

    Raises
    ------
    Unsupported
        If the input is not one picture.
    """
    if x.ndim != 4 or x.shape[0] != 1:
        raise Unsupported(f"Blocks are filled in of one picture [1, c, h, w]; the input has shape {list(x.shape)}.")
    every = EveryLogit()
    nobody = torch.zeros((1, 1), dtype=torch.long, device=x.device)
    single = mixes_rows(network, (x,))
    with probing(
        network, nobody, cast(Score, every), inputs=(x,), evaluations=evaluations, single=single, seed=seed,
        progress=progress,
    ) as probe:  # fmt: skip
        yield Board(probe, every, x.detach().clone(), seed)
