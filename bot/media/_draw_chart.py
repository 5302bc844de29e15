"""Draws the chart of usage. Runs in a child process; nothing else imports matplotlib."""

# matplotlib leaves its **kwargs without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import io
import os
import unicodedata
import warnings
from itertools import cycle
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bot.media.charts import USAGE, UsageChart
from providers.child_wire import Answer

with TemporaryDirectory() as _folder:
    # matplotlib notes which fonts there are, else in the home folder; OpenBLAS reserves memory by thread.
    os.environ |= {"MPLCONFIGDIR": _folder, "OPENBLAS_NUM_THREADS": "1"}
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

SIZE = (10, 7)
"""Inches of 100 pixels."""
LONGEST_TITLE, TITLE_SIZE, TITLE_WIDTH = 70, 16, 960
"""Characters, points and pixels."""
LONGEST_NAME = 20
MOST_DATES = 8
"""So many labels fit below the bars."""
FEWEST_BARS = 5
"""So many bars share the space at least, lest one alone fill it."""

BACKGROUND, LINES, TEXT, WHITE = "#2b2d31", "#4e5058", "#dbdee1", "#ffffff"
BLUE, RED = "#0072b2", "#d55e00"
PROVIDERS = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", RED, "#bbbbbb", BLUE)
"""Okabe and Ito's, which colour-blind people can tell apart, with grey for their black."""

STYLE: "dict[RcKeyType, object]" = {
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.2,
    "figure.facecolor": BACKGROUND,
    "axes.facecolor": BACKGROUND,
    "axes.edgecolor": LINES,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "grid.color": LINES,
    "grid.alpha": 0.6,
    "text.color": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "xtick.bottom": False,
    "ytick.left": False,
    "legend.frameon": False,
    "legend.borderpad": 0,
    "legend.handlelength": 1,
    "legend.handleheight": 1,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    # A name with two dollar signs is no formula.
    "text.parse_math": False,
}


def draw(data: bytes) -> Answer:
    """A PNG of what `charts.USAGE` packed."""
    usage = USAGE.validate_json(data)
    target = io.BytesIO()
    with rc_context(STYLE), warnings.catch_warnings():
        # What no font has is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(SIZE, dpi=100, layout="constrained")
        _draw_title(figure, usage.title)
        days, members, money = figure.subplots(3, height_ratios=(10, 8, 1))
        _draw_days(days, usage)
        _draw_members(members, usage)
        _draw_money(money, usage)
        FigureCanvasAgg(figure).print_png(target)
    return Answer({}, (target.getvalue(),))


def _draw_title(figure: Figure, text: str) -> None:
    title = figure.suptitle(_line(text, LONGEST_TITLE), color=WHITE, fontweight="bold", fontsize=TITLE_SIZE)
    title.set_fontsize(TITLE_SIZE * min(1, TITLE_WIDTH / title.get_window_extent().width))


def _draw_days(axes: Axes, usage: UsageChart) -> None:
    axes.set_title("Credits per day")
    if not any(map(any, usage.credits.values())):
        _draw_nothing(axes)
        return
    places = range(len(usage.days))
    below = [0] * len(usage.days)
    for amounts, color in zip(usage.credits.values(), cycle(PROVIDERS), strict=False):
        axes.bar(places, amounts, bottom=below, color=color)
        below = [sum(pair) for pair in zip(below, amounts, strict=True)]
    names = [_line(provider, LONGEST_NAME) for provider in usage.credits]
    # Below the dates there is room for two rows, and to the left beside the members' names too.
    axes.legend(axes.containers, names, loc="upper right", bbox_to_anchor=(1, -0.1), ncols=4)
    shown = places[:: -(-len(places) // MOST_DATES)]
    axes.set_xticks(shown, [f"{usage.days[place].day} {usage.days[place]:%b}" for place in shown])
    axes.set_xlim(-0.6, max(len(places), FEWEST_BARS) - 0.4)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y")


def _draw_members(axes: Axes, usage: UsageChart) -> None:
    axes.set_title("Top members")
    if not usage.members:
        _draw_nothing(axes)
        return
    places = range(len(usage.members))
    bars = axes.barh(places, [amount for _, amount in usage.members], color=PROVIDERS[0])
    axes.bar_label(bars, fmt="{:,.0f}", padding=4)
    axes.set_yticks(places, [_line(name, LONGEST_NAME) for name, _ in usage.members])
    axes.set_ylim(max(len(places), FEWEST_BARS) - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_frame_on(False)


def _draw_money(axes: Axes, usage: UsageChart) -> None:
    axes.set_title("Spent")
    axes.set_axis_off()
    text = _dollars(usage.spent_micros)
    if usage.budget_micros is not None:
        over = usage.spent_micros > usage.budget_micros
        text += f" of {_dollars(usage.budget_micros)}" + ", over budget" * over
        axes.barh(0, 1, color=LINES)
        axes.barh(0, min(1, usage.spent_micros / max(1, usage.budget_micros)), color=RED if over else BLUE)
        axes.margins(0)
    axes.text(0.01, 0.5, text, transform=axes.transAxes, va="center", color=WHITE, fontweight="bold")


def _draw_nothing(axes: Axes) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, "Nothing yet", transform=axes.transAxes, ha="center", va="center", fontsize=14)


def _dollars(micros: int) -> str:
    return f"${micros / 1_000_000:,.2f}"


def _line(text: str, longest: int) -> str:
    """The text in one line: no control characters, no marks that pile up, at most so many characters."""
    kept = (char for char in unicodedata.normalize("NFC", text) if _has_a_place(char))
    line = " ".join("".join(kept).split()) or "?"
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _has_a_place(char: str) -> bool:
    return char.isspace() or unicodedata.category(char)[0] not in "CM"
