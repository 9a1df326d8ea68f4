"""Which methods have a meaning for which family of networks: `python -m bench.families` writes the table of docs/families.md.

Networks are timm's, small ones, with random weights: what is asked is whether a method makes a map or refuses in words.
The gradient is also compared between a picture by itself and among others, where libraries have been wrong in silence.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from whylook.engine.layers import find_layer
from whylook.engine.request import Request
from whylook.engine.run import run
from whylook.engine.targets import Score, resolve
from whylook.errors import Unsupported
from whylook.methods import METHODS
from whylook.phantom.page import write_between

PAGE = Path(__file__).parents[1] / "docs" / "families.md"
NAMES = (
    "resnet18", "repvgg_a0", "regnety_002", "densenet121", "mobilenetv2_100", "efficientnet_b0", "ghostnet_050",
    "hgnetv2_b0", "starnet_s1", "convnextv2_atto", "inception_next_atto", "fasternet_t0", "mambaout_femto",
    "poolformer_s12", "convmixer_768_32", "botnet26t_256", "halonet26t", "lambda_resnet26t", "coatnet_pico_rw_224",
    "maxvit_rmlp_pico_rw_256", "mobilevit_xxs", "mobilevitv2_050", "efficientformer_l1", "efficientformerv2_s0",
    "fastvit_t8", "edgenext_xx_small", "efficientvit_b0", "efficientvit_m0", "swiftformer_xs", "repvit_m0_9",
    "tiny_vit_5m_224", "levit_128s", "levit_conv_128s", "visformer_tiny", "pvt_v2_b0", "twins_svt_small",
    "nest_tiny", "davit_tiny", "gcvit_xxtiny", "mvitv2_tiny", "hiera_tiny_224", "swin_tiny_patch4_window7_224",
    "xcit_nano_12_p8_224", "cait_xxs24_224", "coat_lite_tiny", "crossvit_9_240", "convit_tiny", "pit_ti_224",
    "vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "vit_tiny_r_s16_p8_224",
    "vit_little_patch16_reg1_gap_256", "vit_small_patch16_dinov3", "vit_relpos_small_patch16_224",
    "eva02_tiny_patch14_224", "test_vit3", "mixer_s32_224", "resmlp_12_224",
)  # fmt: skip
METHOD_NAMES = ("grad-cam", "guided-backprop", "lrp", "excitation-backprop", "deeplift", "fullgrad", "attention-rollout",
                "transformer-attribution", "legrad")  # fmt: skip


def network(name: str) -> tuple[nn.Module, Tensor]:
    """A network with random weights, and a picture it takes, as small as it may be."""
    torch.manual_seed(0)
    for size in (112, 128, None):
        try:
            made = timm.create_model(name, num_classes=5, **({} if size is None else {"img_size": size})).eval()
        except (TypeError, AssertionError, ValueError, RuntimeError):
            continue
        for side in (size or 112, 128, 160, 192, 224, 240, 256):
            x = torch.randn(1, 3, side, side)
            try:
                with torch.no_grad():
                    made(x)
            except (AssertionError, RuntimeError, ValueError, IndexError):
                continue
            for p in made.parameters():  # some heads begin with zeros, and answer nothing
                if not p.any() and p.ndim > 1:
                    nn.init.normal_(p, std=0.02)
            return made, x
    raise RuntimeError(f"{name} takes no picture that was tried")


def row(name: str) -> list[str]:
    """The table's cells for one network."""
    made, x = network(name)
    try:
        layer = find_layer(made, (x,))
        where = f"`{layer.name}` {'×'.join(map(str, layer.grid))}"
    except Unsupported:
        where = "refused"
    gradient = Request(METHODS["input-x-gradient"])
    requests = [gradient, *(Request(METHODS[m]) for m in METHOD_NAMES)]

    def ask(inputs: Tensor, wanted: Sequence[Request]) -> list[object]:
        _, results = run(made, (inputs,), wanted, lambda z, one: resolve(1, z, one), Score())
        return list(results)

    results = ask(x, requests)
    among = ask(torch.cat([x, x]), [gradient])[0].values[0][:1]  # type: ignore[attr-defined]
    alone = results[0].values[0]  # type: ignore[attr-defined]
    agrees = bool((alone - among).abs().max() <= 1e-3 * among.abs().max())
    return [f"`{name}`", where, "✓" if agrees else "**wrong**",
            *("refused" if isinstance(r, Unsupported) else "✓" for r in results[1:])]  # fmt: skip


def main() -> None:
    """Write the table anew."""
    torch.set_num_threads(1)
    columns = ["network", "layer of CAMs", "gradient alone = among others", *(f"`{m}`" for m in METHOD_NAMES)]
    rows = [columns, ["---"] * len(columns)]
    for name in NAMES:
        rows.append(row(name))
        sys.stderr.write(" | ".join(rows[-1]) + "\n")
    write_between("".join(f"| {' | '.join(cells)} |\n" for cells in rows), PAGE)


if __name__ == "__main__":
    main()
