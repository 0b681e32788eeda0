"""The shipped profiles, compiled."""

from resourced.config_rules import RuleConfig
from resourced.decision import Mode
from resourced.policy import Rule, compile_rules
from resourced.policy.profiles import read_profile


def configs(name: str) -> list[RuleConfig]:
    """Return the rules of a profile as written."""
    return [RuleConfig.model_validate(table) for table in read_profile(name)["rule"]]


def profile(name: str) -> tuple[Rule, ...]:
    """Return the rules of a profile, compiled."""
    return compile_rules(configs(name), mode=Mode(read_profile(name)["mode"]))
