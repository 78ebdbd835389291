"""The board: what is true now, and those who are told of each change."""

from actionstream.serve.board import Board, Fact


def test_changes_are_told_once_and_in_order():
    board, told = Board(), []
    stop = board.listen(lambda *change: told.append(change))
    status, on = Fact("status", "hall"), Fact("on", "hall", "door", "wave")
    board.set(status, ("live", None))
    board.set(status, ("live", None))
    board.set(on, True)
    board.set(on, False)
    board.set(Fact("enabled", "yard"), None)  # it was not set
    assert told == [(status, ("live", None)), (on, True), (on, False)]
    assert board.get(status) == ("live", None)
    assert board.facts() == {status: ("live", None), on: False}
    stop()
    board.set(on, True)
    assert len(told) == 3


def test_a_camera_is_forgotten():
    board, told = Board(), []
    hall, yard = Fact("enabled", "hall"), Fact("enabled", "yard")
    board.set(hall, True)
    board.set(yard, True)
    board.listen(lambda *change: told.append(change))
    board.forget("hall")
    assert told == [(hall, None)]
    assert board.facts() == {yard: True}
    assert board.get(hall) is None
