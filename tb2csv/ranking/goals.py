"""Whether a high or a low value of a metric is best, by its name.

Names are split into words at characters that are neither letters nor digits, and before capital letters:
``val/topAccuracy_1`` has the words val, top, accuracy and 1. The last part of the name between slashes that has a known
word decides: ``Loss/train`` is minimized, ``losses/accuracy`` is maximized. If that part has words of both lists, or no
part has any, the name does not decide.
"""

from __future__ import annotations

import re
from typing import Final

from tb2csv.errors import OptionError
from tb2csv.messages import Option, advice

MAX: Final = "max"
MIN: Final = "min"
GOALS: Final = (MAX, MIN)

_HIGH: Final = """
    acc accuracy ap auc auroc bleu dice f1 fbeta iou kappa map mcc miou ndcg precision psnr r2 recall return rew reward
    rouge sensitivity specificity ssim
"""
_LOW: Final = """
    bce cer cost crossentropy deviance divergence entropy err error fid hinge latency logcosh loss losses mae mape mse
    msle nll perplexity ppl regret residual rmse wer
"""
#: The words that show the goal.
WORDS: Final = {MAX: frozenset(_HIGH.split()), MIN: frozenset(_LOW.split())}

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")


def goal_by_name(tag: str) -> str | None:
    """Return ``max`` or ``min`` if the name of the tag shows which is best, else None."""
    for part in reversed(tag.split("/")):
        words = {word.lower() for word in _WORD.findall(part)}
        goals = [goal for goal, known in WORDS.items() if words & known]
        if goals:
            return goals[0] if len(goals) == 1 else None
    return None


def check_goal(goal: str | None) -> None:
    """Raise OptionError if ``goal`` is neither in GOALS nor None."""
    if goal is not None and goal not in GOALS:
        message = f"Unknown goal {goal!r}; choose from {', '.join(GOALS)}."
        raise OptionError(message)


def goal_of(tag: str) -> str:
    """Return ``max`` or ``min`` by the name of the tag.

    Raises:
        OptionError: the name does not show which is best.
    """
    goal = goal_by_name(tag)
    if goal is None:
        fact = f"The name of tag {tag!r} does not show whether its highest or its lowest value is best"
        raise OptionError(fact, *(advice("give {}", Option("goal", each)) for each in GOALS))
    return goal
