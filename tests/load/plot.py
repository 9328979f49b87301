"""A picture of a load run: answers, latency and the queue over time, with the kills."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # a file, no window

import matplotlib.pyplot as plt

from tests.load.accounting import NO_ANSWER, Attempt
from tests.load.kills import Kill


def draw(path: Path, attempts: Sequence[Attempt], kills: Sequence[Kill], depths: Sequence[tuple[float, int]]) -> None:
    """Write the picture as PNG."""
    figure, (answers, latency, queue) = plt.subplots(3, 1, sharex=True, figsize=(10, 8), layout="constrained")
    _draw_answers(answers, attempts)
    latency.plot([each.began for each in attempts], [each.seconds * 1000 for each in attempts], ",", color="tab:blue")
    latency.set_yscale("log")
    latency.set_ylabel("answered after, ms")
    queue.plot([at for at, _ in depths], [depth for _, depth in depths], color="tab:purple")
    queue.set_ylabel("on the queue")
    queue.set_xlabel("seconds since the run began")
    for axes in (answers, latency, queue):
        for kill in kills:
            style = ":" if kill.function == "receive_webhook" else "--"
            axes.axvline(kill.at, color="tab:red", linewidth=0.7, linestyle=style)
        axes.grid(alpha=0.3)
    answers.set_title("Red: a process killed (dotted receive_webhook, dashed process_webhook)", fontsize="medium")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw_answers(axes: plt.Axes, attempts: Sequence[Attempt]) -> None:
    """Draw how many answers of each status there were, second by second."""
    seconds = range(int(max((each.began + each.seconds for each in attempts), default=0)) + 1)
    for status in sorted({each.status for each in attempts}):
        counts = Counter(int(each.began + each.seconds) for each in attempts if each.status == status)
        label = "no answer" if status == NO_ANSWER else str(status)
        axes.plot(seconds, [counts[second] for second in seconds], label=label, linewidth=1)
    axes.set_ylabel("answers a second")
    axes.legend()
