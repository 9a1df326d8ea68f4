"""Pictures of maps: a map laid over its picture, and the figure of a whole explanation."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from whylook.geometry import Geometry
from whylook.report import colors, words

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.figure import Figure

    from whylook.explanation import Explanation, Map, Target
    from whylook.image import Image

Pixels = NDArray[np.uint8]


def overlay(
    the_map: Map,
    image: Image | Pixels,
    opacity: float = 0.75,
    *,
    span: colors.Limits | None = None,
    palette: str = "inferno",
    gray: bool = True,
) -> Pixels:
    """Lay a map over its picture; what the model was not shown is dimmed and hatched.

    Parameters
    ----------
    the_map : the map; one that has a `reason` (all zero, not finite) is not painted.
    image : the picture, or its pixels, uint8 [h, w, 3], at any size: the map is placed in proportion.
    opacity : of the map, 0 to 1.
    span : what the ends of the colors stand for; by default the map's own limits.
    palette : color table of unsigned maps (`inferno`, `viridis`, `gray`); signed maps are blue to red.
    gray : whether the picture under the map is shown in gray, so that color always means the map.

    Returns
    -------
    uint8 [h, w, 3].
    """
    pixels = image if isinstance(image, np.ndarray) else image.rgb8()
    base = pixels.astype(np.float32)
    if gray:
        base = np.repeat((base @ np.array([0.299, 0.587, 0.114], np.float32))[..., None], 3, axis=2)
    geometry = resized(the_map.geometry, (pixels.shape[0], pixels.shape[1]))
    if the_map.reason is None:
        span = span or colors.limits(the_map.values, the_map.signed)
        painted = colors.paint(geometry.on_image(the_map.values), span, colors.map_table(the_map.signed, palette))
        alpha = painted[..., 3:].astype(np.float32) * (opacity / 255)
        base = base * (1 - alpha) + painted[..., :3] * alpha
    return hatched(np.round(base).astype(np.uint8), geometry)


def resized(geometry: Geometry, picture: tuple[int, int]) -> Geometry:
    """Return the geometry of the same picture at another size, (height, width)."""
    ratio = (geometry.picture[0] / picture[0], geometry.picture[1] / picture[1])
    scale = (geometry.scale[0] * ratio[0], geometry.scale[1] * ratio[1])
    return replace(geometry, picture=picture, scale=scale)


def hatched(pixels: Pixels, geometry: Geometry, hatch: bool = True) -> Pixels:
    """Return uint8 [h, w, 3] with a frame around what the model was shown and, with `hatch`, stripes over the rest."""
    height, width = geometry.picture
    top, left, bottom, right = geometry.visible
    if top < 0.5 and left < 0.5 and height - bottom < 0.5 and width - right < 0.5:
        return pixels
    out = pixels.astype(np.float32)
    y, x = np.mgrid[:height, :width]
    stroke = max(1.0, max(height, width) / 320)
    if hatch:
        unseen = (y + 0.5 < top) | (y + 0.5 > bottom) | (x + 0.5 < left) | (x + 0.5 > right)
        line = (x + y) % (7 * stroke) < stroke
        out[unseen] = out[unseen] * 0.65 + 7
        out[unseen & line] = out[unseen & line] * 0.55 + 115
    outside = np.maximum(np.maximum(top - y - 1, y - bottom), np.maximum(left - x - 1, x - right))
    edge = np.abs(outside + 0.5)
    out[edge < 1.5 * stroke] *= 0.5
    out[edge < 0.75 * stroke] = 245
    return np.clip(np.round(out), 0, 255).astype(np.uint8)


def shrunk(image: Image, long_side: int) -> Pixels:
    """Return the picture's pixels, uint8 [h, w, 3], no longer than `long_side` on either side."""
    pixels = np.ascontiguousarray(image.rgb8())
    ratio = long_side / max(pixels.shape[:2])
    if ratio >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * ratio)), max(1, round(pixels.shape[0] * ratio)))
    return np.asarray(Pillow.fromarray(pixels).resize(size, Pillow.Resampling.LANCZOS))


def rows_of(explanation: Explanation) -> list[tuple[str, Target | None]]:
    """Return (model, target) pairs, one per row of a figure; a model without maps has target None."""
    rows: list[tuple[str, Target | None]] = []
    for name in explanation.models:
        targets = {str(m.target): m.target for m in explanation.maps if m.model == name}
        rows += [(name, target) for target in targets.values()] or [(name, None)]
    return rows


def methods_of(explanation: Explanation) -> list[str]:
    """Return every method asked for, those that failed included."""
    names = [m.method for m in explanation.maps] + [f[1] for f in explanation.failures if f[1]]
    return list(dict.fromkeys(names))


def shared_limits(explanation: Explanation, method: str) -> colors.Limits | None:
    """Return the limits that the maps of one method share, or None where it has no map to show."""
    spans = [colors.limits(m.values, m.signed) for m in explanation.maps if m.method == method and m.reason is None]
    if not spans:
        return None
    high = max(s.high for s in spans)
    return colors.Limits(min(s.low for s in spans), high, any(s.clipped for s in spans))


def figure(explanation: Explanation, *, opacity: float = 0.75, shared: bool = False) -> Figure:
    """Draw an explanation: one row per model and target, the picture first, then one map per method.

    Parameters
    ----------
    explanation : what to draw.
    opacity : of the maps, 0 to 1.
    shared : one color scale per method, instead of one per map; the footer says which it is.

    Returns
    -------
    matplotlib Figure, not known to pyplot.
    """
    return _Sheet(explanation, opacity, shared).figure


@lru_cache(maxsize=1)
def _renderer() -> RendererAgg:
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(8, 8, 144)


def _wide(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of a line of text in inches."""
    from matplotlib.font_manager import FontProperties

    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    width: float = _renderer().get_text_width_height_descent(text, font, ismath=False)[0]
    return width / 144


def wrap(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """Break text into lines no wider than `width` inches; a word that is too long is broken within."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if _wide(joined, size, weight) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        while _wide(word, size, weight) > width and len(word) > 1:
            fits = max((n for n in range(1, len(word)) if _wide(word[:n], size, weight) <= width), default=1)
            lines[-1] = word[:fits]
            word = word[fits:]
            lines.append("")
        lines[-1] = word
    return lines


class _Sheet:
    """Lays a figure out in inches from the upper left, text measured before anything is placed."""

    MARGIN, GAP, TEXT = 0.4, 0.22, 2.5
    INK, SOFT, FAINT = "#1c1e22", "#62666e", "#e6e6e2"

    def __init__(self, explanation: Explanation, opacity: float, shared: bool) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.explanation, self.opacity, self.shared = explanation, opacity, shared
        self.pixels = shrunk(explanation.image, 640)
        self.methods = methods_of(explanation)
        self.rows = rows_of(explanation)
        aspect = self.pixels.shape[1] / self.pixels.shape[0]
        self.cell_w = float(np.clip(2.35 * aspect**0.5, 2.0, 4.4))
        self.cell_h = float(np.clip(self.cell_w / aspect, 0.5, 3.6))
        self.lines = self._broken()
        content = self.TEXT + (1 + max(map(len, self.lines), default=0)) * (self.cell_w + self.GAP)
        self.width = content + 2 * self.MARGIN
        head, foot = self._head(content), self._foot(content)
        self.headings = [
            [wrap(t, self.cell_w, 10, "bold") for t in ("" if i else "Picture", *map(self._title, line))]
            for i, line in enumerate(self.lines)
        ]
        tall = [max(map(len, heading)) * self._line(10) + 0.1 for heading in self.headings]
        top, self.above = (tall[0], [0.0]) if len(tall) == 1 else (0.0, tall)
        blocks = [self._block(model, target) for model, target in self.rows]
        heights = [
            max(
                sum(self.above) + len(self.lines) * (self.cell_h + 0.42),
                sum(self._line(size) + gap for _, size, _, _, gap in block),
            )
            + 0.34
            for block in blocks
        ]
        self.height = 2 * self.MARGIN + sum(h for *_, h in head) + 0.2 + top
        self.height += sum(heights) + 0.1 + sum(h for *_, h in foot)
        self.figure = Figure(figsize=(self.width, self.height), dpi=150, facecolor="white")
        FigureCanvasAgg(self.figure)
        # One set of axes for the whole sheet, in inches from the upper left: a set per picture takes seconds.
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        self.axes.set_axis_off()

        y = self.MARGIN
        for text, size, color, weight, height in head:
            self._text(self.MARGIN, y, text, size, color, weight)
            y += height
        y += 0.2
        y += top
        if len(self.lines) == 1:
            self._headings(y, 0)
        for (model, target), block, height in zip(self.rows, blocks, heights, strict=True):
            self._row(y, model, target, block)
            y += height
        y += 0.1
        for text, size, color, weight, height in foot:
            self._text(self.MARGIN, y, text, size, color, weight)
            y += height

    def _broken(self) -> list[list[str]]:
        """Return the methods in lines: one, unless the sheet would be a strip that no screen shows well."""
        count, room = len(self.methods), self.cell_w + self.GAP
        for lines in range(1, count + 1):
            per = -(-count // lines)
            tall = len(self.rows) * lines * (self.cell_h + 0.9)
            if per <= 5 or self.TEXT + (1 + per) * room <= 2.2 * tall:
                return [self.methods[i : i + per] for i in range(0, count, per)]
        return [self.methods]

    def _headings(self, base: float, line: int) -> None:
        """Set the headings of a line of maps so that they end just above `base`."""
        for column, heading in enumerate(self.headings[line]):
            start = base - 0.1 - len(heading) * self._line(10)
            for i, text in enumerate(heading):
                self._text(self._x(column), start + i * self._line(10), text, 10, self.INK, "bold")

    @staticmethod
    def _line(size: float) -> float:
        return size * 1.36 / 72

    def _x(self, column: int) -> float:
        return self.MARGIN + self.TEXT + self.GAP + column * (self.cell_w + self.GAP)

    def _title(self, method: str) -> str:
        return words.facts(method).title

    def _head(self, width: float) -> list[tuple[str, float, str, str, float]]:
        image = self.explanation.image
        lines = [(t, 14.0, self.INK, "bold", self._line(14)) for t in wrap(image.name, width, 14, "bold")]
        said = " ".join([f"{image.width} × {image.height} pixels.", *image.notes])
        return lines + [(t, 8.5, self.SOFT, "normal", self._line(8.5)) for t in wrap(said, width, 8.5)]

    def _foot(self, width: float) -> list[tuple[str, float, str, str, float]]:
        scale = (
            "One color scale per method, shared by the models: within a method equal colors are equal values."
            if self.shared
            else "Every map has its own color scale: equal colors in two maps are not equal values."
        )
        if any(m.signed for m in self.explanation.maps):
            scale += " Signed maps: red is positive, blue negative."
        scale += " Nothing is painted at 0; numbers are raw values."
        if any(hatched(self.pixels, resized(g, self.pixels.shape[:2])) is not self.pixels for g in self._geometries()):
            scale += " White frame: what the model was shown; hatched: what it never saw."
        sentences = [scale]
        for model, method, why in self.explanation.failures:
            sentences.append(f"{self._title(method)} of {model}: {why}" if method else f"{model}: {why}")
        for m in self.explanation.maps:
            if m.reason is not None:
                sentences.append(f"{self._title(m.method)} of {m.model} for {m.target}: {m.reason}")
            elif noted := words.note(m):
                sentences.append(f"{self._title(m.method)} of {m.model} for {m.target}: {noted}")
        return [(t, 8.5, self.SOFT, "normal", self._line(8.5)) for s in sentences for t in wrap(s, width, 8.5)]

    def _geometries(self) -> list[Geometry]:
        return list(dict.fromkeys(m.geometry for m in self.explanation.maps))

    def _block(self, model: str, target: Target | None) -> list[tuple[str, float, str, str, float]]:
        """Lines of a row's text: (text, size, color, weight, gap above); predictions as label, tab, percent."""
        width = self.TEXT
        lines = [(t, 10.0, self.INK, "bold", 0.0) for t in wrap(model, width, 10, "bold")]
        if target is not None:
            lines += [(t, 8.0, self.SOFT, "normal", 0.02) for t in wrap(f"Maps explain {target}", width, 8)]
        prediction = self.explanation.predictions.get(model)
        for ranked in prediction.top(5) if prediction is not None else ():
            chance = words.percent(ranked.probability)
            weight = "bold" if target is not None and ranked.index == target.index else "normal"
            label = wrap(ranked.label, width - 0.72, 8.5, weight)
            lines.append((f"{label[0]}\t{chance}", 8.5, self.INK, weight, 0.07))
            lines += [(t, 8.5, self.INK, weight, 0.0) for t in label[1:]]
        return lines

    def _row(
        self, y: float, model: str, target: Target | None, block: list[tuple[str, float, str, str, float]]
    ) -> None:
        at = y
        for text, size, color, weight, gap in block:
            at += gap
            label, _, chance = text.partition("\t")
            self._text(self.MARGIN, at, label, size, color, weight)
            if chance:
                self._text(self.MARGIN + self.TEXT - 0.06, at, chance, size, color, weight, align="right")
            at += self._line(size)
        maps = {m.method: m for m in self.explanation.maps if m.model == model and m.target == target}
        shown = next(iter(maps.values()), None)
        picture = self.pixels
        if shown is not None:
            picture = hatched(picture, resized(shown.geometry, (picture.shape[0], picture.shape[1])))
        why = {f[1]: f[2] for f in self.explanation.failures if f[0] == model}
        for line, methods in enumerate(self.lines):
            y += self.above[line]
            if self.above[line]:
                self._headings(y, line)
            if line == 0:
                self._picture(0, y, picture)
            for column, method in enumerate(methods, 1):
                if method in maps:
                    self._cell(column, y, maps[method])
                else:
                    self._note(column, y, why.get(method) or why.get("") or "Not asked for.")
            y += self.cell_h + 0.42

    def _cell(self, column: int, y: float, the_map: Map) -> None:
        span = shared_limits(self.explanation, the_map.method) if self.shared else None
        span = span or colors.limits(the_map.values, the_map.signed)
        self._picture(column, y, overlay(the_map, self.pixels, self.opacity, span=span))
        if the_map.reason is not None:
            self._note(column, y, the_map.reason)
            return
        bar = colors.table(colors.map_table(the_map.signed))[None]
        self._image(bar, self._x(column), y + self.cell_h + 0.07, self.cell_w, 0.075)
        finite = the_map.values[np.isfinite(the_map.values)]
        low = ("≤ " if finite.size and finite.min() < span.low else "") + words.number(span.low)
        high = ("≥ " if finite.size and finite.max() > span.high else "") + words.number(span.high)
        below = y + self.cell_h + 0.165
        self._text(self._x(column), below, low, 7.5, self.SOFT)
        self._text(self._x(column) + self.cell_w, below, high, 7.5, self.SOFT, align="right")
        if the_map.signed and max(_wide(low, 7.5), _wide(high, 7.5)) < self.cell_w / 2 - 0.15:
            self._text(self._x(column) + self.cell_w / 2, below, "0", 7.5, self.SOFT, align="center")

    def _note(self, column: int, y: float, sentence: str) -> None:
        """Set a sentence where a map would be; one too long for the place is cut here and whole in the footer."""
        from matplotlib.patches import Rectangle

        x, line = self._x(column), self._line(8.5)
        lines = wrap(sentence, self.cell_w - 0.3, 8.5)
        room = max(1, int((max(self.cell_h, 0.9) - 0.2) / line))
        if len(lines) > room:
            lines = [*lines[: room - 1], lines[room - 1][: max(1, len(lines[room - 1]) - 2)] + " …"]
        height = len(lines) * line + 0.2
        top = y + max(0.0, (self.cell_h - height) / 2)
        box = Rectangle((x, top), self.cell_w, height, facecolor="white", edgecolor=self.FAINT, alpha=0.92, zorder=5)
        self.axes.add_patch(box)
        for i, text in enumerate(lines):
            self._text(x + 0.15, top + 0.1 + i * line, text, 8.5, self.INK)

    def _picture(self, column: int, y: float, pixels: Pixels) -> None:
        """Set a picture into its cell, as large as fits, in the middle of the upper edge."""
        ratio = min(self.cell_w / pixels.shape[1], self.cell_h / pixels.shape[0])
        width, height = pixels.shape[1] * ratio, pixels.shape[0] * ratio
        self._image(pixels, self._x(column) + (self.cell_w - width) / 2, y, width, height)

    def _image(self, pixels: Pixels, x: float, y: float, width: float, height: float) -> None:
        from matplotlib.image import AxesImage

        image = AxesImage(self.axes, extent=(x, x + width, y + height, y), interpolation="antialiased", origin="upper")
        image.set_data(pixels)
        self.axes.add_image(image)

    def _text(
        self, x: float, y: float, text: str, size: float, color: str, weight: str = "normal", align: str = "left"
    ) -> None:
        # File names and labels are not mathematics, whatever dollar signs are in them.
        self.figure.text(
            x / self.width,
            1 - (y + size * 1.08 / 72) / self.height,
            text,
            fontsize=size,
            color=color,
            weight=weight,
            ha=align,
            va="baseline",
            family="DejaVu Sans",
            parse_math=False,
            zorder=6,
        )
