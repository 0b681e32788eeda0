"""A recording is played: by its player, and as a process that serves the whole API on it."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from resourced import cli
from resourced.decision import Mode
from resourced.errors import HistoryError
from resourced.manager import State
from resourced.player import Played, Player
from resourced.policy import Rule
from tests.history.fakes import START, Kit
from tests.policy import fakes as machines
from tests.running import running, settings

SECONDS = 40
GIB = 1 << 30
RULE = {
    "name": "short",
    "level": "soft",
    "metric": "memory.available",
    "below": "1KiB",
    "clear": "2KiB",
    "for": "3s",
    "warmup": "0s",
    "scope": "process",
}


def made(path: Path, restarted: int | None = None) -> Path:
    """Make a recording in which memory becomes short after half of the time, because of one process."""
    kit = Kit(path.parent / "state", top_processes=5, tops_interval_seconds=1.0)
    for second in range(SECONDS):
        if second == restarted:
            kit.sequence = 0
        hog = machines.process(50, "hog", memory_bytes=GIB if second > SECONDS // 2 else 10)
        sample = machines.snapshot(processes=[hog, machines.process(60, "mouse", memory_bytes=5)])
        low = second > SECONDS // 2
        kit.add(
            [100.0 if low else 1e6, 1.0, 1.0, None],
            snapshot={"processes": sample.processes, "collectors": sample.collectors},
        )
    kit.history.export(path, 0, 4e9)
    kit.crash()
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("recorded") / "night")


Reports = list[tuple[str, Mapping[str, Any]]]


def player(played: Played, reports: Reports, rules: tuple[Rule, ...] = (), speed: float = 0.0) -> Player:
    return Player(played, rules, speed=speed, report=lambda event, fields: reports.append((event, fields)))


def states_of(played: Player) -> list[State]:
    seen: list[State] = []
    played.subscribe(seen.append)
    return seen


async def test_the_past_is_judged_by_the_rules_in_force_now(recording: Path) -> None:
    reports: Reports = []
    told: list[Any] = []
    with Played(recording) as played:
        playing = player(played, reports, machines.rules(RULE, mode=Mode.OBSERVE))
        playing.follow(told.append)
        seen = states_of(playing)
        playing.start_playing()
        assert playing.ended.wait(30)
        playing.stop()
        last = await playing.fresh()

        [decision] = told
        assert decision.rule == "short"
        assert decision.time == START + SECONDS // 2 + 2 + 3
        assert decision.target.name == "hog"
        assert played.decisions() == [decision]
        assert played.decision(decision.id) == decision
        assert last is seen[-1] is playing.state
        assert last.snapshot.time == playing.now == playing.end
        assert last.snapshot.sequence == SECONDS
        assert [state.snapshot.sequence for state in seen] == sorted({state.snapshot.sequence for state in seen})
        assert playing.compared() is not None
    assert [event for event, _ in reports] == ["replay_decision", "replay_ended"]
    assert reports[-1][1] == {"ticks": SECONDS, "decisions": 1}


@pytest.mark.parametrize(("restarted", "expected"), [(None, [25]), (28, [25, 30])])
def test_whom_a_daemon_chose_before_it_was_started_again_is_dealt_with_no_more(
    tmp_path: Path, restarted: int | None, expected: list[int]
) -> None:
    told: list[Any] = []
    with Played(made(tmp_path / "night", restarted)) as played:
        playing = player(played, [], machines.rules(RULE | {"cooldown": "5s", "steps": ["terminate"]}))
        playing.follow(told.append)
        playing.start_playing()
        assert playing.ended.wait(30)
        playing.stop()
    assert [each.time - START for each in told if each.target.name == "hog"] == expected


def test_time_passes_as_it_did_and_can_be_cut_short(recording: Path) -> None:
    with Played(recording) as played:
        playing = player(played, [], speed=50.0)
        seen = states_of(playing)
        began = time.monotonic()
        playing.start_playing()
        assert playing.ended.wait(30)
        assert time.monotonic() - began >= (SECONDS - 1) / 50.0
        assert len(seen) > 1

        slow = player(played, [], speed=0.001)
        slow.start_playing()
        slow.stop()
        assert slow.now < START + 3


async def test_a_reader_waits_for_the_first_state_and_hears_of_an_early_end(recording: Path) -> None:
    with Played(recording) as played:
        playing = player(played, [])
        assert playing.now == playing.start
        assert playing.age_seconds == 0.0
        playing.stop()
        with pytest.raises(HistoryError, match="closed"):
            await playing.fresh()


def test_a_recording_without_samples_is_refused(tmp_path: Path) -> None:
    Kit(None).history.export(tmp_path / "nothing", 0, 5)
    with Played(tmp_path / "nothing") as played, pytest.raises(HistoryError, match="no samples"):
        player(played, [])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: path.write_text("x" * 200), "not a database"),
        (lambda path: path.mkdir(), "there is no file"),
        (lambda path: None, "there is no file"),
    ],
)
def test_what_is_no_recording_is_refused_with_a_sentence(
    tmp_path: Path,
    make: Callable[[Path], None],
    text: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path))
    make(tmp_path / "night")
    assert cli._main(["run", "--replay", str(tmp_path / "night")]) == cli.Exit.USAGE
    said = capsys.readouterr().err
    assert f"{tmp_path}/night can't be replayed" in said
    assert text in said
    assert cli._main(["run", "--speed", "2"]) == cli.Exit.USAGE


def test_the_whole_api_is_about_the_recorded_machine(recording: Path, tmp_path: Path) -> None:
    text = settings(tmp_path, '[[rule]]\nname = "short"\nlevel = "soft"\nmetric = "memory.available"\nbelow = "1KiB"\n'
                    'clear = "2KiB"\nfor = "3s"\nwarmup = "0s"\nscope = "process"\n')  # fmt: skip
    with running(tmp_path, text=text, options=("--replay", str(recording), "--speed", "0")) as daemon:
        while not daemon.get("/healthz")["replay"]["ended"]:
            daemon.get("/resources/all?wait=1")
        now = daemon.get("/resources/all")
        assert now["time"] == pytest.approx(START + SECONDS)
        assert [each["name"] for each in now["processes"]["items"]] == ["hog", "mouse"]
        assert daemon.get("/readyz")["ready"]
        [decision] = [each for each in daemon.get("/decisions")["decisions"] if each["rule"] == "short"]
        assert decision["target"]["name"] == "hog"
        assert daemon.get(f"/decisions/{decision['id']}")["decision"]["id"] == decision["id"]
        recent = daemon.get("/history?metric=memory.available&start=10s")
        assert recent["series"][0]["values"] == [100.0] * 11
        assert daemon.get("/history/top?of=process&by=memory")["entries"][0]["name"] == "hog"
        past = daemon.get(f"/resources/all?at={START + 5}")
        assert past["memory"]["available_bytes"] == 1e6
        lines = daemon.get("/resources/processes?command_line=1")["command_lines"]
        assert set(lines.values()) == {None}
        with daemon.unix() as client:
            assert client.post("/reload").status_code == 200
            assert client.get("/workloads").json() == {"workloads": []}
            assert client.post("/workloads", json={}).status_code == 409
            for verb, path in (("GET", ""), ("DELETE", ""), ("POST", "/heartbeat"), ("POST", "/acknowledge")):
                assert client.request(verb, f"/workloads/w-1{path}").status_code == 404
            assert client.get("/history/export?start=1h").content.startswith(b"SQLite format 3")
        assert daemon.end() == 0
    assert not (tmp_path / "state").exists()
    assert not daemon.socket.exists()
