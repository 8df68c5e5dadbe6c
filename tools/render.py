"""Owns the page that charts are drawn on, its fonts and its bytes, and is the only module that knows matplotlib.

Fonts: Noto Sans CJK SC, which the mplfonts package carries under the SIL Open Font License, and after it DejaVu Sans,
which matplotlib carries. The other fonts in mplfonts are under other terms and are never opened; the package itself
is never imported, since it would change matplotlib for the whole process.
"""

import logging
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, files
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it reports its cache folder on standard error when imported

import matplotlib  # noqa: E402
from matplotlib import rc_context, rcdefaults, rcParams  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.font_manager import FontEntry, fontManager, get_font  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402
from matplotlib.patheffects import AbstractPathEffect, withStroke  # noqa: E402
from matplotlib.text import Text as DrawnText  # noqa: E402

from wenshu.semantic_layer.errors import EngineError  # noqa: E402
from wenshu.semantic_layer.table import ResultTable  # noqa: E402
from wenshu.semantic_layer.text import Language, Text  # noqa: E402
from wenshu.tools.chart import Chart  # noqa: E402
from wenshu.tools.chart_data import clean  # noqa: E402
from wenshu.tools.chart_drawing import draw  # noqa: E402
from wenshu.tools.chart_theme import DARK, INCH, LABEL, LIGHT, SUBTITLE, TICK, TITLE, Theme, points  # noqa: E402

__all__ = ["Axes", "Figure", "Page", "draw_figure", "render_chart"]

Format = Literal["png", "svg"]

WIDTH, NARROW, HEIGHT, SCALE = 720.0, 400.0, 405.0, 2  # CSS pixels, those of a phone, and device pixels for each
PAD = 22.0
CJK_FONT = "NotoSansCJKsc-Regular.otf"
MISSING_GLYPH = "□"
FAMILIES = ("Wenshu Sans", "Wenshu Fallback")
STYLE: dict[Any, Any] = {
    "font.family": list(FAMILIES),
    "text.parse_math": False,  # a $ in the data is a dollar
    "axes.unicode_minus": False,
    "svg.hashsalt": "wenshu",
    "hatch.linewidth": 1.2,
}
ONE_AT_A_TIME = threading.Lock()  # matplotlib's settings belong to the process


def render_chart(
    chart: Chart,
    table: ResultTable,
    *,
    language: Language,
    format: Format = "png",
    dark: bool = False,
    narrow: bool = False,
) -> bytes:
    """Draw a chart that `choose_chart` chose for this table, as PNG (twice the CSS pixels) or SVG; `narrow` is for phones.

    The same arguments give the same bytes. Raises `EngineError` with code `font_missing` if the font is not installed.
    """
    with _drawing():
        page = _drawn(chart, table, language, dark, NARROW if narrow else WIDTH)
        try:
            return page.bytes(format)
        finally:
            page.figure.clear()


def draw_figure(chart: Chart, table: ResultTable, *, language: Language, dark: bool = False) -> Figure:
    """Draw the same chart as a matplotlib Figure. Raises `EngineError` with code `font_missing` if the font is not installed."""
    with _drawing():
        page = _drawn(chart, table, language, dark, WIDTH)
        page.settle()
        return page.figure


@contextmanager
def _drawing() -> Iterator[None]:
    with ONE_AT_A_TIME, rc_context():
        rcdefaults()
        rcParams.update(STYLE)
        _register_fonts()
        yield


def _drawn(chart: Chart, table: ResultTable, language: Language, dark: bool, width: float) -> "Page":
    page = Page(language, DARK if dark else LIGHT, width)
    page.head(chart.title, chart.subtitle)
    draw(page, chart, table)
    return page


@cache
def _font_files() -> tuple[str, str]:
    try:
        listed = files("mplfonts") or []
    except PackageNotFoundError:
        listed = []
    found = [str(file.locate()) for file in listed if file.name == CJK_FONT]
    if not found or not Path(found[0]).is_file():
        raise EngineError(
            "font_missing",
            Text("The font for charts is not installed.", "未安装绘图所需的字体。"),
            Text("Install the package mplfonts again.", "请重新安装 mplfonts 包。"),
        )
    return found[0], str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))


@cache
def _register_fonts() -> None:
    """Make the two files known by names of our own, so that no font of the machine takes their place."""
    for name, path in zip(FAMILIES, _font_files(), strict=True):
        fontManager.ttflist.append(FontEntry(fname=path, name=name))


@lru_cache(maxsize=10_000)
def _text_width(text: str, size: float) -> float:
    font = get_font(list(_font_files()))
    font.set_size(points(size), INCH)
    font.set_text(text, 0.0)
    return float(font.get_width_height()[0]) / 64


class Page:
    """Lay out one figure in CSS pixels from its top left corner.

    `top` is where the next part begins. `height` may grow while parts are drawn: places are settled in `bytes`.
    """

    def __init__(self, language: Language, theme: Theme, width: float = WIDTH) -> None:
        self.language, self.theme = language, theme
        self.width, self.height, self.pad, self.top = width, HEIGHT, PAD, 18.0
        self.figure = Figure(dpi=INCH * SCALE, facecolor=theme.ground)
        FigureCanvasAgg(self.figure)
        self._texts: list[tuple[DrawnText, float, float]] = []
        self._axes: list[tuple[Axes, tuple[float, float, float, float]]] = []
        self._boxes: list[tuple[Rectangle, tuple[float, float, float, float]]] = []

    def drawable(self, text: str) -> str:
        """Replace what neither font can draw, such as an emoji, by one empty box."""
        fonts = [get_font([path]) for path in _font_files()]
        kept: list[str] = []
        for char in text:
            if any(font.get_char_index(ord(char)) for font in fonts):
                kept.append(char)
            elif unicodedata.category(char)[0] != "M" and kept[-1:] != [MISSING_GLYPH]:
                kept.append(MISSING_GLYPH)
        return "".join(kept)

    def text_width(self, text: str, size: float) -> float:
        """Return how wide a drawable text is at a font size."""
        return _text_width(text, size)

    def fit(self, text: str, size: float, width: float) -> str:
        """Return the text made drawable and cut with an ellipsis to fit `width`."""
        text = self.drawable(clean(text, 200))
        if self.text_width(text, size) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.text_width(text[:middle] + "…", size) <= width
            low, high = (middle, high) if fits else (low, middle - 1)
        return text[:low].rstrip() + "…"

    def text(
        self, x: float, y: float, text: str, size: float, color: str | None = None, va: Literal["top", "center"] = "top"
    ) -> None:
        """Write drawable text with its top, or its middle, at `y`."""
        ink = color or self.theme.ink
        self._texts.append((self.figure.text(0, 0, text, va=va, color=ink, fontsize=points(size)), x, y))

    def box(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """Fill a rectangle."""
        box = Rectangle((0, 0), 1, 1, transform=self.figure.transFigure, facecolor=color, linewidth=0)
        self._boxes.append((box, (x, y, width, height)))
        self.figure.add_artist(box)

    def axes(self, left: float, top: float, right: float, bottom: float) -> Axes:
        """Add bare axes between these edges, measured from the figure's left and top."""
        axes = self.figure.add_axes((0, 0, 1, 1), facecolor="none")
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0, labelsize=points(TICK), colors=self.theme.muted, pad=points(5))
        axes.set_axisbelow(True)
        self._axes.append((axes, (left, top, right, bottom)))
        return axes

    def halo(self, color: str) -> list[AbstractPathEffect]:
        """Return the effect that keeps text readable across a line."""
        return [withStroke(linewidth=points(3.5), foreground=color)]

    def head(self, title: str, subtitle: str) -> None:
        """Write the title and, where there is one, the subtitle."""
        wide = self.width - 2 * self.pad
        self.text(self.pad, self.top, self.fit(title, TITLE, wide), TITLE)
        self.top += 22
        if subtitle:
            self.text(self.pad, self.top, self.fit(subtitle, SUBTITLE, wide), SUBTITLE, self.theme.muted)
            self.top += 18
        self.top += 8

    def legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """Write names behind squares of their colours, in as many lines as they need."""
        x = self.pad
        for label, color in entries:
            label = self.fit(label, LABEL, 150)
            width = 15 + self.text_width(label, LABEL)
            if x > self.pad and x + width > self.width - self.pad:
                x, self.top = self.pad, self.top + 18
            self.box(x, self.top + 3, 10, 10, color)
            self.text(x + 15, self.top, label, LABEL, self.theme.muted)
            x += width + 18
        self.top += 24

    def footnote(self, note: str) -> None:
        """Write a remark at the foot of the page."""
        self.text(self.pad, self.height - 22, self.drawable(note), TICK, self.theme.muted)

    def settle(self) -> None:
        """Put everything in its place, now that the height is known."""
        self.figure.set_size_inches(self.width / INCH, self.height / INCH)
        for text, x, y in self._texts:
            text.set_position((x / self.width, 1 - y / self.height))
        for box, (x, y, width, height) in self._boxes:
            box.set_bounds(x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        for axes, (left, top, right, bottom) in self._axes:
            width, height = (right - left) / self.width, (bottom - top) / self.height
            axes.set_position((left / self.width, 1 - bottom / self.height, width, height))

    def bytes(self, format: Format) -> bytes:
        """Write the picture with everything in its place."""
        self.settle()
        written = BytesIO()
        metadata = {"Software": None} if format == "png" else {"Date": None, "Creator": None}
        self.figure.savefig(written, format=format, metadata=metadata, facecolor=self.theme.ground)
        return written.getvalue()
