"""What the machine was like, and what was decided: at once from memory, for years from one small file.

| module | is about |
|---|---|
| history | the door: takes samples and records, answers questions |
| window, batch, columns, layout | ticks in memory, from single rows to packed columns |
| backlog, records, search | decisions, outcomes, events, saved states |
| keeper, worker | one thread that writes, packs, rolls up, removes, and survives what fails |
| store, schema, slots, blocks, codec, cells | the file |
| rollup, retention | days become minutes and hours; what is too old goes |
| reader, sources, query, grid, aggregate, rates, table | questions |
| tops, topspack, top | the largest cgroups and processes |
| moment | a past moment as a whole |
| stats, survey | what it holds and costs |
"""

from resourced.history.history import History
from resourced.history.settings import HistorySettings
from resourced.history.stats import HistoryStats, TierStats
from resourced.history.table import Table
from resourced.history.top import Top, TopEntry

__all__ = ["History", "HistorySettings", "HistoryStats", "Table", "TierStats", "Top", "TopEntry"]
