"""Four small networks of the families of the reference models, built from timm's own blocks."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from timm.models._efficientnet_blocks import DepthwiseSeparableConv, InvertedResidual, SqueezeExcite
from timm.models.resnet import BasicBlock
from torch import nn

from whylook.errors import UsageError
from whylook.phantom.render import LABELS

INPUT_SIZE = 64
CLASSES = len(LABELS)


def build(family: str) -> nn.Module:
    """Return an untrained network for inputs [n, 1, 64, 64] and four classes, in training mode.

    Parameters
    ----------
    family : one of `FAMILIES`.

    Raises
    ------
    UsageError
        If there is no such family.
    """
    if family not in _BUILDERS:
        raise UsageError(f"There is no embedded network family {family!r}; there are {', '.join(_BUILDERS)}.")
    return _BUILDERS[family]()


def _pooled(width: int) -> list[tuple[str, nn.Module]]:
    """Return the head of all but the VGG: mean over the grid, and one linear layer."""
    return [("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()), ("classifier", nn.Linear(width, CLASSES))]


def _stem(width: int, act: type[nn.Module]) -> list[tuple[str, nn.Module]]:
    conv = nn.Conv2d(1, width, 3, stride=2, padding=1, bias=False)
    return [("conv_stem", conv), ("bn1", nn.BatchNorm2d(width)), ("act1", act(inplace=True))]


def _resnet() -> nn.Module:
    shortcut = nn.Sequential(nn.Conv2d(16, 48, 1, stride=2, bias=False), nn.BatchNorm2d(48))
    blocks = nn.Sequential(BasicBlock(16, 16), BasicBlock(16, 48, stride=2, downsample=shortcut))
    pool = ("maxpool", nn.MaxPool2d(3, stride=2, padding=1))
    return nn.Sequential(OrderedDict([*_stem(16, nn.ReLU), pool, ("blocks", blocks), *_pooled(48)]))


def _vgg() -> nn.Module:
    layers: list[nn.Module] = []
    width = 1
    for wider in (8, 16, 32, 32):
        layers += [nn.Conv2d(width, wider, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        width = wider
    cells = (INPUT_SIZE // 16) ** 2
    head = [nn.Flatten(), nn.Linear(width * cells, 64), nn.ReLU(inplace=True), nn.Linear(64, CLASSES)]
    for layer in (*layers, head[1]):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # there is no norm to keep the scale
    return nn.Sequential(OrderedDict(features=nn.Sequential(*layers), classifier=nn.Sequential(*head)))


def _efficientnet() -> nn.Module:
    excite = partial(SqueezeExcite, rd_ratio=0.25)
    block = partial(InvertedResidual, exp_ratio=3.0, act_layer=nn.SiLU, se_layer=excite)
    blocks = nn.Sequential(
        DepthwiseSeparableConv(12, 16, stride=2, act_layer=nn.SiLU, se_layer=excite),
        block(16, 16),
        block(16, 40, dw_kernel_size=5, stride=2),
        block(40, 40),
    )
    last = nn.Conv2d(40, 96, 1, bias=False)
    head = [("conv_head", last), ("bn2", nn.BatchNorm2d(96)), ("act2", nn.SiLU(inplace=True))]
    return nn.Sequential(OrderedDict([*_stem(12, nn.SiLU), ("blocks", blocks), *head, *_pooled(96)]))


def _mobilenet() -> nn.Module:
    block = partial(DepthwiseSeparableConv, act_layer=nn.ReLU6, pw_act=True, noskip=True)
    blocks = nn.Sequential(
        block(12, 32, stride=2),
        block(32, 48),
        block(48, 128, stride=2),
        block(128, 128),
    )
    return nn.Sequential(OrderedDict([*_stem(12, nn.ReLU6), ("blocks", blocks), *_pooled(128)]))


_BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "resnet": _resnet,
    "vgg": _vgg,
    "efficientnet": _efficientnet,
    "mobilenet": _mobilenet,
}
FAMILIES = tuple(_BUILDERS)
