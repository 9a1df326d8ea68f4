"""ONNX files, run by onnxruntime: black boxes that give scores only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whylook.errors import ModelError, UsageError
from whylook.models.feeding import settle
from whylook.models.function import with_logits
from whylook.models.labels import described
from whylook.models.network import classes, head
from whylook.models.sources import source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from whylook.models.model import Model
    from whylook.preprocess import Preprocess

_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}


@source("onnx", title="ONNX files, as black boxes", example="onnx:classifier.onnx")
def onnx_model(
    file: str,
    *,
    labels: Sequence[str] | str | Path | None = None,
    preprocess: Preprocess | None = None,
    mean: Sequence[float] | str | None = None,
    std: Sequence[float] | str | None = None,
    input_size: int | Sequence[int] | str | None = None,
    interpolation: str | None = None,
    crop: float | None = None,
    resize: int | None = None,
    crop_mode: str | None = None,
    scale: float | None = None,
    channel_order: str | None = None,
) -> Model:
    """Load an ONNX file of a classifier that takes one picture tensor, [b, c, h, w] or [b, h, w, c].

    What is not given is read from the file's metadata (`mean`, `std`, `input_size`, `interpolation`, `crop`, `resize`,
    `labels`); the input size from its graph. The model's notes say which. The fingerprint is that of the file, and of
    the weights beside it (`FILE.data`), where there are any.

    Parameters
    ----------
    file : its path.
    labels : class names, or a file of them (one per line, or JSON).
    preprocess : all of the preprocessing at once; what follows is for saying parts of it, as for other checkpoints.
    mean, std, input_size, interpolation, crop, resize, crop_mode, scale, channel_order : see `checkpoint_model`.

    Raises
    ------
    ModelError
        If onnxruntime is not there, or the file is not, or is not such a classifier.
    """
    from whylook.engine.blackbox import BlackBox
    from whylook.models.model import Model

    path = Path(file)
    graph = Graph(path)
    if preprocess is None:
        given = {
            "mean": mean, "std": std, "input_size": input_size, "interpolation": interpolation, "crop": crop,
            "resize": resize, "crop_mode": crop_mode, "scale": scale, "channel_order": channel_order,
        }  # fmt: skip
        told = dict(graph.metadata)
        if graph.size is not None and input_size is None:
            told.setdefault("input_size", f"{graph.size[0]},{graph.size[1]}")
        preprocess = settle(given, told, None, graph.channels, str(path))
    if graph.size is not None and preprocess.input_size != graph.size:
        (h, w), (gh, gw) = preprocess.input_size, graph.size
        raise UsageError(f"The graph in {path} takes pictures of {gh}×{gw}, not {h}×{w}; leave the input size out.")
    box = BlackBox(graph, arrays=True)
    outputs = classes(box, preprocess)
    box, notes = with_logits(box, preprocess)
    found, said = described(labels, graph.metadata, box, outputs)
    return Model(
        name=path.stem,
        network=box,
        preprocess=preprocess,
        labels=found,
        head=head(outputs, None),
        identity=graph.fingerprint,
        source=f"onnx:{path}",
        notes=tuple(n for n in ("Run by onnxruntime on the CPU.", preprocess.origin, *said, *notes) if n),
    )


class Graph:
    """An ONNX graph as a function of a float array [b, c, h, w] to scores [b, classes].

    Parameters
    ----------
    path : of the file.

    Attributes
    ----------
    size, channels : of its input, None where the graph leaves them open.
    metadata : texts by name, as the file has them.
    fingerprint : 12 hex digits.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelError(
                "ONNX files are run by onnxruntime, which is not installed: pip install 'whylook[onnx]'."
            ) from error
        import torch

        if not path.is_file():
            raise ModelError(f"The ONNX file {path} is not there.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # what matters is raised
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise ModelError(f"{path} is damaged, or not an ONNX file that onnxruntime can run: {reason}.") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            what = ", ".join(f"{i.name} {i.shape}" for i in inputs)
            raise ModelError(f"The graph in {path} takes {what or 'nothing'}, not one picture tensor of 4 axes.")
        if inputs[0].type not in _TYPES:
            raise ModelError(f"The graph in {path} takes {inputs[0].type}, not floating-point pictures.")
        self.path, self._name, self._type = path, inputs[0].name, _TYPES[inputs[0].type]
        shape = [n if isinstance(n, int) else None for n in inputs[0].shape]
        self._batch = shape[0] if shape[0] and shape[0] > 0 else None
        self._output = _logits(path, self._session.get_outputs())
        self._last = shape[1] not in (1, 3) and shape[3] in (1, 3)  # channels last, as TensorFlow has it
        self.channels = shape[3] if self._last else shape[1]
        height, width = shape[1:3] if self._last else shape[2:]
        self.size = (height, width) if height is not None and width is not None else None
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def __name__(self) -> str:
        return self.path.name

    @property
    def fingerprint(self) -> str:
        """First 12 hex digits of the SHA-256 of the file, and of the weights beside it, where there are any."""
        digest = hashlib.sha256()
        for part in (self.path, self.path.with_name(self.path.name + ".data")):
            if part.is_file():
                with part.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()[:12]

    def __call__(self, images: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Scores [b, classes] of images [b, c, h, w], in parts of the batch size that the graph is made for."""
        import numpy as np

        fed = images.astype(self._type)
        fed = np.ascontiguousarray(fed.transpose(0, 2, 3, 1) if self._last else fed)
        size = self._batch or len(fed)
        answers = []
        for start in range(0, len(fed), size):
            part = fed[start : start + size]
            whole = np.concatenate([part, np.repeat(part[-1:], size - len(part), 0)]) if len(part) < size else part
            answers.append(self._session.run([self._output], {self._name: whole})[0][: len(part)])
        return np.concatenate(answers)


def _logits(path: Path, outputs: Sequence[Any]) -> str:
    """Name of the output that holds class scores: floating-point, with at most two axes.

    Raises
    ------
    ModelError
        If there is none, or it cannot be told which: several that do not even have the same number of classes.
    """
    what = ", ".join(f"{o.name} {o.type} {o.shape}" for o in outputs)
    # The only output may have a shape that the graph does not tell; what it is, is seen when it is asked.
    able = [o for o in outputs if o.type in _TYPES and (len(o.shape) in (1, 2) or len(outputs) == 1)]
    if not able:
        raise ModelError(f"The graph in {path} gives {what or 'nothing'}, and none of it is class scores [b, classes].")
    called = [o for o in able if o.name.lower() in ("logits", "scores", "probabilities")]
    if len(called) != 1 and len({str(o.shape[1:]) for o in able}) > 1:
        raise ModelError(
            f"The graph in {path} gives {what}; which of them is the class scores is not known: leave only it."
        )
    # Of heads with the same classes the first is the main one.
    return str((called if len(called) == 1 else able)[0].name)
