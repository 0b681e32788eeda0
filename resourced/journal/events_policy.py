"""The events of deciding and acting, each with an identity that never changes."""

from resourced.journal.event import Event
from resourced.journal.record import Priority

POLICY_EVENTS = (
    # Deciding
    Event(
        "decision",
        "fe0c3b84e8604e82ac5095d522e83721",
        Priority.WARNING,
        "{text}",
        "A rule decided",
        "Rule @RESOURCED_RULE@ fired. The numbers that led to it, everything that was considered and what "
        "would be done are kept under the decision's id.\n\n"
        "See: resourcectl explain @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "recovered",
        "1740f41a2309428a890d3878ece5aa27",
        Priority.NOTICE,
        "Rule {rule} has recovered",
        "A rule has recovered",
        "The condition of rule @RESOURCED_RULE@ no longer holds. What can be undone is undone.",
        limited=False,
    ),
    Event(
        "policy_failed",
        "5d7a0a9c6d0e4f6a9a3b8a6a41c7f0e2",
        Priority.ERROR,
        "The policy could not judge a sample: {reason}",
        "A sample could not be judged",
        "This is a fault in resourced. Sampling and serving go on, and nothing is pruned because of it.",
    ),
    Event(
        "approval_needed",
        "c28f0f1390f2422ba0053bf6351cd675",
        Priority.WARNING,
        "Decision {decision} waits for approval: {target} would have to give way",
        "A decision waits for approval",
        "The rule is in mode advise, or too many targets were ended lately: nothing more is done to "
        "@RESOURCED_TARGET@ until somebody agrees, and the decision expires if nobody does.\n\n"
        "Agree:  resourcectl approve @RESOURCED_DECISION@\n"
        "Refuse: resourcectl veto @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "approved",
        "dde1891f7c064cb38c45429656a44038",
        Priority.NOTICE,
        "Decision {decision} was approved by {caller}",
        "A decision was approved",
        "@RESOURCED_CALLER@ agreed; the steps of the decision are taken.",
        limited=False,
    ),
    Event(
        "vetoed",
        "9e452e3cdfb5420281a69f5dd1fff10d",
        Priority.NOTICE,
        "Decision {decision} was refused by {caller}",
        "A decision was refused",
        "@RESOURCED_CALLER@ refused: nothing more is done for this decision, what can be undone is undone, and its "
        "target is left alone for 15 minutes.",
        limited=False,
    ),
    # Acting
    Event(
        "step_notify",
        "59e6981706154247be87fd2cf46ef646",
        Priority.NOTICE,
        "{target} was told to give way",
        "A workload was told to give way",
        "@RESOURCED_TARGET@ has been told. It may write its state and release what it holds before anything "
        "stronger is done.\n\n"
        "See: resourcectl explain @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "step_reclaim",
        "9832a78e73244f71805101cdef9d4e8c",
        Priority.NOTICE,
        "Memory of {target} was reclaimed: {detail}",
        "Memory was reclaimed",
        "The kernel was asked to take back memory that @RESOURCED_TARGET@ does not use at the moment. The "
        "processes go on.\n\n"
        "See: resourcectl explain @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "step_throttle",
        "4d93cf9bb6694178818be691e236fc46",
        Priority.WARNING,
        "{target} is throttled: {detail}",
        "A unit is throttled",
        "Limits were put on @RESOURCED_TARGET@ and are taken back when the rule has recovered, or expire.\n\n"
        "See: resourcectl explain @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "step_freeze",
        "086c6f16c8c749ebb6f672fb40e22a70",
        Priority.WARNING,
        "{target} is frozen: {detail}",
        "A unit is frozen",
        "@RESOURCED_TARGET@ does not run, keeps its memory, and is thawed when the rule has recovered, or "
        "after the time allowed.\n\n"
        "See: resourcectl explain @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "step_terminate",
        "060285d76a7a423e9c68688e17a53165",
        Priority.WARNING,
        "{target} was asked to end: {detail}",
        "A workload was asked to end",
        "SIGTERM was sent to @RESOURCED_TARGET@, so that it ends in its own way.\n\n"
        "See: resourcectl explain @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "step_kill",
        "25b6d0fd57ad431089fece9c939a79a6",
        Priority.ERROR,
        "{target} was killed: {detail}",
        "A workload was killed",
        "@RESOURCED_TARGET@ was killed so that the rest of the machine lives. Work that it had not saved is "
        "lost.\n\n"
        "See: resourcectl explain @RESOURCED_DECISION@",
        limited=False,
    ),
    Event(
        "step_called_off",
        "cd23576b5eb2407384df5cf362130f24",
        Priority.NOTICE,
        "Step {step} on {target} was called off: {detail}",
        "A step was called off",
        "Looked at again before the step, the rule no longer held or the target was gone.",
        limited=False,
    ),
    Event(
        "limit_easing",
        "5a50d9f2d37e4a01a31566fec766d9d6",
        Priority.NOTICE,
        "The memory limit of {target} is raised step by step: rule {rule} has recovered",
        "A memory limit is raised step by step",
        "What has recovered only because it was held back would take the rest of the machine at once. The limit is put "
        "back as soon as @RESOURCED_TARGET@ no longer takes all that it is given.\n\n"
        "See: resourcectl actions",
        limited=False,
    ),
    Event(
        "step_undone",
        "2a8e1dd61b2b4b07a80084720a9f30da",
        Priority.NOTICE,
        "Step {step} on {target} was undone: {detail}",
        "A step was undone",
        "The original values were put back.",
        limited=False,
    ),
    Event(
        "step_expired",
        "3c6f9462d3b74d2c800a7353f59ac528",
        Priority.NOTICE,
        "Step {step} on {target} has expired: {detail}",
        "A step has expired",
        "The longest time allowed for the step is over, and it was undone though the rule still holds; or nobody "
        "approved the decision in time, or a newer one has taken its place.",
        limited=False,
    ),
    Event(
        "step_refused",
        "72cdd2d6640143fa9c666185d9c2ceed",
        Priority.WARNING,
        "Step {step} on {target} was refused: {detail}",
        "A step was refused",
        "A safety rule forbids it: @RESOURCED_DETAIL@ The machine may stay short of resources.",
        limited=False,
    ),
    Event(
        "step_failed",
        "e635bc8ba0754be2a2f2b04281544eeb",
        Priority.ERROR,
        "Step {step} on {target} failed: {detail}",
        "A step failed",
        "The kernel said no, or the target is still there: @RESOURCED_DETAIL@ The target is left alone for a while "
        "and the next candidate is considered.",
        limited=False,
    ),
    Event(
        "acting_failed",
        "7a3c1de0b4a94fb1a0c8f52d5b1d9e46",
        Priority.ERROR,
        "Acting failed: {reason}",
        "Acting failed",
        "This is a fault in resourced, or what was changed could not be written down. Nothing that can't be undone "
        "is done because of it; what is held is put back as soon as it can be.",
    ),
    Event(
        "message_failed",
        "1c9a5d0e6a5f4c7f9d43e0f6b2c87a15",
        Priority.WARNING,
        "{receiver} could not be told of a decision: {reason}",
        "Somebody could not be told",
        "The webhook or the command of the configuration did not take what was told. The decision is kept and acted "
        "on all the same.",
        key=("receiver",),
    ),
    Event(
        "guard_triggered",
        "83d68a0cef0d47a1ba2fe7b249e7bf92",
        Priority.WARNING,
        "The memory guard acts: {reason}",
        "The memory guard acts",
        "Memory is filling faster than the regular samples can follow.",
    ),
    Event(
        "guard_unavailable",
        "6522ad559bdd4cf2a34787d4d861b71a",
        Priority.WARNING,
        "The memory guard is limited: {reason}",
        "The memory guard is limited",
        "The kernel does not give what the guard needs to be woken; it looks by itself at short intervals.",
    ),
    Event(
        "rival_found",
        "f1b8688f899e4afe9d90621bb12ae7f6",
        Priority.WARNING,
        "{rival} may kill on this machine too",
        "Another killer is active",
        "@RESOURCED_RIVAL@ follows rules of its own and may act before resourced. Leave one of the two in charge.",
        key=("rival",),
    ),
)
"""In the order of the catalog."""
