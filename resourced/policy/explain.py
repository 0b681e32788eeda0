"""A decision as a paragraph that a person understands."""

from resourced.decision import Candidate, Decision, Evidence, Level, Mode
from resourced.policy.words import say
from resourced.quantities import format_duration, format_size

_DOES: dict[Mode, str] = {
    Mode.OFF: "Nothing is done: the rule is off.",
    Mode.OBSERVE: "Nothing is done about it: the rule only observes.",
    Mode.ADVISE: "It is done only if someone approves.",
    Mode.ENFORCE: "It is enforced.",
}
_MOST = 3


def explain(decision: Decision) -> str:
    """Return why a decision was taken, on whom, why not on others, and what follows."""
    about = f" for {decision.instance}" if decision.instance else ""
    sentences = [
        (
            f"Rule {decision.rule} ({decision.level}) fired{about} after its condition had held for "
            f"{format_duration(decision.held_seconds)}: {_conditions(decision)}."
        )
    ]
    sentences += _target(decision)
    passed = [each for each in decision.candidates if each.note and not each.protected and each != decision.target]
    if passed and decision.level is not Level.WARN:
        sentences.append("Put last or passed over: " + "; ".join(f"{e.name} ({e.note})" for e in passed[:_MOST]) + ".")
    shielded = [each for each in decision.candidates if each.protected and (each.usage or 0) > 0]
    if shielded:
        shown = "; ".join(f"{each.name} ({each.protected})" for each in shielded[:_MOST])
        more = f" and {len(shielded) - _MOST} more" if len(shielded) > _MOST else ""
        sentences.append(f"Protected: {shown}{more}.")
    if decision.level is not Level.WARN and decision.target is not None:
        sentences.append(_DOES[decision.mode])
    return " ".join(sentences)


def _conditions(decision: Decision) -> str:
    holding = [_comparison(each) for each in decision.evidence if each.holds]
    unknown = [say(each.metric) for each in decision.evidence if each.holds is None]
    text = ", and ".join(holding) or "the opposite of what it names was not seen"
    return f"{text} ({', '.join(unknown)} could not be told and did not count)" if unknown else text


def _comparison(it: Evidence) -> str:
    value, threshold = _value(it.value, it.unit), _value(it.threshold, it.unit)
    held = f" for {format_duration(it.held_seconds)}" if it.held_seconds >= 1 else ""
    if it.share_required < 1 and it.samples:
        held = f" in {it.agreeing} of {it.samples} samples"
    return f"{say(it.metric)} was {value}, {it.comparison} {threshold},{held}".removesuffix(",")


def _target(decision: Decision) -> list[str]:
    target = decision.target
    if target is None:
        reason = decision.reason or "nothing could be pruned"
        holders = [each for each in decision.candidates if each.usage]
        holders.sort(key=lambda each: -(each.usage or 0.0))
        largest = ", ".join(f"{e.name} ({_value(e.usage, decision.gain_unit)})" for e in holders[:_MOST])
        return [f"No target: {reason}.", *([f"Most is held by {largest}."] if largest else [])]
    free = sum(each.protected is None for each in decision.candidates)
    terms = " + ".join(f"{name} {value:.2f}" for name, value in target.terms.items())
    others = f" of {free} that may be pruned" if free > 1 else ""
    steps = ", then ".join(decision.steps) or "nothing"
    sentences = [
        (
            f"{_named(target)} must give way: its score is the highest{others} ({terms} = {target.score:.2f}), "
            f"and {_value(target.expected_gain, decision.gain_unit)} would be freed."
        ),
        f"The steps are {steps}, only as far as needed.",
    ]
    return [*sentences, f"Note: {decision.reason}."] if decision.reason else sentences


def _named(candidate: Candidate) -> str:
    pid = f" (pid {candidate.pid})" if candidate.pid is not None else ""
    return f"{candidate.name}{pid}"


def _value(value: float | None, unit: str | None) -> str:
    """Return a number as people write it in its unit."""
    if value is None:
        return "unknown"
    if unit == "1":
        return f"{value * 100:.3g} %"
    if unit in ("By", "By/s"):
        return format_size(value) + ("/s" if unit == "By/s" else "")
    if unit == "s":
        return format_duration(value)
    shown = (unit or "").replace("Cel", "°C").strip("{}")
    return f"{value:.4g} {shown}".strip()
