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
| moment, shape | a past moment as a whole |
| questions | all of these questions, for a live history and a recorded one |
| exchange, recorded | recordings in a file, and going through past ticks |
| stats, survey | what it holds and costs |
"""

from resourced.history.exchange import Recording, import_recording
from resourced.history.history import History
from resourced.history.recorded import RecordedTick
from resourced.history.settings import HistorySettings
from resourced.history.stats import HistoryStats, TierStats
from resourced.history.table import Table
from resourced.history.top import Top, TopEntry

__all__ = [
    "History",
    "HistorySettings",
    "HistoryStats",
    "RecordedTick",
    "Recording",
    "Table",
    "TierStats",
    "Top",
    "TopEntry",
    "import_recording",
]
