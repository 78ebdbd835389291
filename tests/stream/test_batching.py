"""The batcher: everyone while there is time, else the fair share of what there is time for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionstream.live.batching import Batcher, Candidate, StepTime


def candidates(count, *, age=0.0, perishable=True):
    return [Candidate(str(n), age, perishable) for n in range(count)]


def run(batcher, count, seconds, rounds=200):
    """Serve streams that always have a fresh frame; how often each was served, and the sizes of the batches."""
    served = dict.fromkeys(map(str, range(count)), 0)
    sizes = []
    for _ in range(rounds):
        chosen, stale = batcher.choose(candidates(count))
        assert stale == []
        batcher.served(chosen, seconds(len(chosen)))
        sizes.append(len(chosen))
        for name in chosen:
            served[name] += 1
    return served, sizes


@given(fixed=st.floats(0, 0.1), each=st.floats(0.001, 0.1))
def test_the_time_of_a_step_is_learned(fixed, each):
    time = StepTime()
    assert time(3) == 0
    for n in [1, 2, 5, 8, 3] * 10:
        time.push(n, fixed + each * n)
    for n in (1, 4, 8):
        assert time(n) == pytest.approx(fixed + each * n, rel=1e-3)


def test_everyone_while_there_is_time():
    served, sizes = run(Batcher(0.1), 8, lambda n: 0.01 + 0.01 * n)
    assert set(sizes) == {8}
    assert set(served.values()) == {200}


def test_a_fair_share_of_what_there_is_time_for():
    served, sizes = run(Batcher(0.1), 8, lambda n: 0.01 + 0.028 * n)
    assert set(sizes[1:]) == {3}
    assert max(served.values()) - min(served.values()) <= 2


def test_smaller_batches_only_where_they_are_quicker():
    _, sizes = run(Batcher(0.1), 8, lambda n: 0.3)
    assert sizes[-100:].count(8) >= 97  # now and then it looks whether that has changed
    _, sizes = run(Batcher(0.1), 8, lambda n: 0.15 * n)
    assert sizes[-100:] == [1] * 100


def test_files_alone_wait_as_long_as_it_takes():
    batcher = Batcher(0.1)
    batcher.served(["0"], 5.0)
    assert len(batcher.choose(candidates(8, perishable=False, age=9.0))[0]) == 8


def test_old_frames_are_stale():
    batcher = Batcher(0.1)
    batcher.served(["a"], 0.12)
    chosen, stale = batcher.choose(
        [Candidate("old", 0.11, True), Candidate("new", 0.01, True), Candidate("x", 9, False)]
    )
    assert chosen
    assert set(chosen) <= {"new", "file"}
    assert stale == ["old"]
    both = [Candidate("a", 0.08, True), Candidate("b", 0.05, True)]
    assert batcher.choose(both) == (["b"], ["a"])  # 0.08 + 0.12 is two intervals
    batcher.forget("a")


def test_an_estimate_that_is_wrong_is_put_right():
    """The first step of a process is slow: that may not keep every frame out for ever."""
    batcher = Batcher(0.1)
    batcher.served(["a"], 0.189)
    for _ in range(100):
        chosen, _ = batcher.choose([Candidate("a", 0.012, True), Candidate("b", 0.015, True)])
        batcher.served(chosen, 0.001 * len(chosen))
    assert len(chosen) == 2


def test_in_a_hopeless_case_all_have_their_turn():
    """A step alone takes longer than two intervals: the youngest frame may not always be that of the same stream."""
    batcher = Batcher(0.1)
    batcher.served(["a", "b", "c"], 0.9)
    served = []
    for _ in range(30):
        chosen, stale = batcher.choose(
            [Candidate("a", 0.01, True), Candidate("b", 0.02, True), Candidate("c", 0.03, True)]
        )
        assert stale == []
        batcher.served(chosen, 0.3 * len(chosen))
        served += chosen
    assert [served.count(name) for name in "abc"] == [10, 10, 10]
