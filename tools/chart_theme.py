"""Owns the look of charts: sizes, and colours on a light and a dark ground. Knows nothing of what is drawn.

The series colours follow the colour-blind-safe sets of Okabe & Ito and of Paul Tol, adjusted for contrast on each ground.
"""

from dataclasses import dataclass

INCH = 100  # CSS pixels an inch of figure; all lengths are in CSS pixels
TITLE, SUBTITLE, LABEL, TICK, SMALL = 15.5, 11.5, 11.0, 10.5, 9.5  # font sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Hold the colours of one ground; `ramp` runs from a heat map's lowest to its highest value."""

    ground: str
    ink: str
    muted: str
    grid: str
    baseline: str
    card: str
    others: str
    up: str
    down: str
    series: tuple[str, ...]
    ramp: tuple[str, ...]
    negative: str

    def color(self, position: int) -> str:
        """Return the colour of the series at `position`, from the start again after the last."""
        return self.series[position % len(self.series)]

    def tint(self, color: str, share: float = 0.45) -> str:
        """Mix a colour into the ground, for what stands behind: a period compared with.

        >>> LIGHT.tint("#000000", 0.5)
        '#808080'
        """
        return mix(self.ground, color, share)

    def ink_on(self, color: str) -> str:
        """Return the ink, dark or white, that reads better on a colour."""
        red, green, blue = channels(color)
        return "#111827" if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#ffffff"

    def heat(self, value: float, low: float, high: float) -> str:
        """Return a heat map's colour of a value between `low` and `high`; signs have colours of their own."""
        if low < 0 < high:
            return mix(self.ramp[0], self.ramp[-2] if value > 0 else self.negative, abs(value) / max(-low, high))
        place = (value - low) / (high - low) * (len(self.ramp) - 1) if low != high else len(self.ramp) / 2
        step = min(int(place), len(self.ramp) - 2)
        return mix(self.ramp[step], self.ramp[step + 1], place - step)


def points(pixels: float) -> float:
    """Turn CSS pixels into points, the unit of font sizes and line widths."""
    return pixels * 72 / INCH


def channels(color: str) -> tuple[int, int, int]:
    """Return a colour's red, green and blue, 0 to 255."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def mix(back: str, front: str, share: float) -> str:
    """Return the colour between two, `share` of the way to `front`."""
    pairs = zip(channels(back), channels(front), strict=True)
    return "#" + "".join(f"{round(two * share + one * (1 - share)):02x}" for one, two in pairs)


LIGHT = Theme(
    ground="#ffffff",
    ink="#111827",
    muted="#667085",
    grid="#eceef2",
    baseline="#b6bcc8",
    card="#f6f7f9",
    others="#a3aab8",
    up="#0b6fb8",
    down="#c2570c",
    series=(
        "#1f77d0", "#e68a00", "#0a9b74", "#c93f6e", "#7a5bd0", "#45b0e0",
        "#a0522d", "#5f7f00", "#d45500", "#b35fb8", "#0b6b78", "#8a8f00",
    ),
    ramp=("#eef5fc", "#bcd9f3", "#7fb6e6", "#3f8dd4", "#1664ab", "#0b3f73"),
    negative="#c2570c",
)  # fmt: skip

DARK = Theme(
    ground="#15181e",
    ink="#eef1f5",
    muted="#9aa4b2",
    grid="#282d36",
    baseline="#566070",
    card="#1e232b",
    others="#6b7484",
    up="#5cb3f5",
    down="#f0975a",
    series=(
        "#4da3f5", "#f5a936", "#2cc29a", "#ef7ba2", "#a68cf2", "#8ad4f7",
        "#cf8a63", "#a5c23c", "#f58442", "#dc93e0", "#43b6c4", "#d2d65a",
    ),
    ramp=("#1b2431", "#1d3f63", "#1f5c96", "#2f7fc8", "#69abea", "#bcdcfa"),
    negative="#f0975a",
)  # fmt: skip
