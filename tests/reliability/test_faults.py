"""A fault between any two steps of any command: each output is the old one or the new one, whole, and the next run
ends as an undisturbed one does.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.reliability.campaign import CASES, Campaign, start_in, tree
from tests.reliability.faults import THOROUGH, Injector, copied, temporaries
from tests.shell import ROOT, process


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return start_in(tmp_path_factory.mktemp("faults") / "start")


@pytest.mark.parametrize("name", CASES)
def test_a_fault_at_every_step(injector: Injector, start, name):
    """kill -9, a signal, a full disk, a device error, an interrupted call: before and in the middle of steps."""
    campaign = Campaign(injector, CASES[name], start)
    wrong = []
    for fault, step, said in campaign.faults():
        try:
            campaign.run_again(campaign.check_after(fault, step, said))
        except AssertionError as error:
            wrong.append(f"{fault} at {step}: {said}: {error}")
    assert not wrong, "\n".join(wrong)
    assert campaign.kills >= 5
    assert campaign.others >= 5


@pytest.mark.parametrize("name", ["embed over a folder", "embed to a file", "simulate"])
def test_killed_again_and_again(injector: Injector, start, name):
    """Work that is done in pieces, killed at one step after another in the same folder, until a run is let be."""
    case = CASES[name]
    campaign = Campaign(injector, case, start)
    copied(start, start.parent / "work")
    for at in range(0, 120, 1 if THOROUGH else 12):
        said = injector.one(*case.command, *case.again, at=at % 31)
        assert said.code == -signal.SIGKILL, said
    campaign.run_again(False)


def unlike(old: dict[str, object], new: dict[str, object]) -> set[str]:
    return {path for path in {*old, *new} if old.get(path) != new.get(path)}


@pytest.mark.parametrize("name", CASES)
def test_no_change_of_the_folder_is_missed(injector: Injector, start, name):
    """A file that is there, is other or is gone after a command got so by a step that was counted: nothing writes past
    the library.
    """
    copied(start, start.parent / "work")
    old = tree()
    injector.one(*CASES[name].command).done()
    moved = {step.path for step in injector.steps if step.call in ("rename", "unlink")}
    changed = unlike(old, tree())
    assert changed
    assert all(moved & {path, *map(str, Path(path).parents)} for path in changed), (changed, moved)
    written = {step.path for step in injector.steps if step.call == "write"}
    synced = {step.path for step in injector.steps if step.call == "fsync"}
    assert written - synced <= {"sim/.features"}, "what is written is brought to disk"
    assert "fsync-dir" in [step.call for step in injector.steps]


@pytest.mark.parametrize("name", ["update", "predict"])
def test_the_console_script_takes_the_steps_of_its_fork(injector: Injector, start, name):
    command = CASES[name].command
    copied(start, start.parent / "work")
    injector.one(*command).done()
    taken = injector.steps
    copied(start, start.parent / "work")
    injector.arm(start.parent / "work")
    process(*command, PYTHONPATH=ROOT, **injector.environment).done()
    assert injector.steps == taken
    whole = Path(CASES[name].outputs[0]).stat().st_size
    at = [step.call for step in taken].index("write")
    copied(start, start.parent / "work")
    injector.arm(start.parent / "work", at, "kill in write")
    assert process(*command, PYTHONPATH=ROOT, **injector.environment).code == -signal.SIGKILL
    (draft,) = (Path(path) for path in temporaries() if path.endswith(".tmp"))
    assert 0 < draft.stat().st_size < whole
