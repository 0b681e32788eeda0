"""What must give way, decided from values alone: no clock, no file, no log.

Rules are compiled once; `judge` takes the state of the tick before and a tick, and returns the next state, the
decisions and the verdict. The same function runs live, in tests and over the recorded past.
"""

from resourced.policy.comparison import Comparison, Moved, compare
from resourced.policy.compile import Defaults, compile_rules, required_metrics, shield_of
from resourced.policy.explain import explain
from resourced.policy.judge import Judgement, gap_of, judge
from resourced.policy.ladder import next_rung, rungs, still_needed
from resourced.policy.observation import Myself, Preference, Tick, Workload
from resourced.policy.outlook import Outlook, outlook
from resourced.policy.recheck import Look, Need, calm, look_again, need_of, seconds_until_gone
from resourced.policy.replay import Kill, Replay, ReplayResult, Stall, Watch, replay
from resourced.policy.rule import Rule, Rung, Shield
from resourced.policy.state import JudgeState

__all__ = [
    "Comparison",
    "Defaults",
    "JudgeState",
    "Judgement",
    "Kill",
    "Look",
    "Moved",
    "Myself",
    "Need",
    "Outlook",
    "Preference",
    "Replay",
    "ReplayResult",
    "Rule",
    "Rung",
    "Shield",
    "Stall",
    "Tick",
    "Watch",
    "Workload",
    "calm",
    "compare",
    "compile_rules",
    "explain",
    "gap_of",
    "judge",
    "look_again",
    "need_of",
    "next_rung",
    "outlook",
    "replay",
    "required_metrics",
    "rungs",
    "seconds_until_gone",
    "shield_of",
    "still_needed",
]
