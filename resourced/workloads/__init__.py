"""Workloads that cooperate: they register, are told first when they must give way, and may leave by themselves."""

from resourced.workloads.lease import Applicant, Cover, Lease, LeaseChange, State, Tell, Wish
from resourced.workloads.pressure import PressureSocket
from resourced.workloads.registry import Registry
from resourced.workloads.watch import Watch

__all__ = [
    "Applicant",
    "Cover",
    "Lease",
    "LeaseChange",
    "PressureSocket",
    "Registry",
    "State",
    "Tell",
    "Watch",
    "Wish",
]
