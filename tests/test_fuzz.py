"""Damaged files of every kind end in a clear error: 20,000 here, more by the command in tests/support/fuzzing.py."""

import pytest
from fuzzing import KINDS, SEEDS, fuzz, try_input


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_damaged_files_end_in_a_clear_error():
    found = [what for _, what in fuzz(20_000) if what]
    assert not found, "\n".join(found)


def test_each_kind_has_seeds_that_are_read(tmp_path):
    for name, kind in KINDS.items():
        for file in (SEEDS / name).iterdir():
            path = tmp_path / file.name
            path.write_bytes(file.read_bytes())
            kind.read(path)
    assert {path.name for path in SEEDS.iterdir()} == set(KINDS)


def test_faults_are_found(monkeypatch):
    def fault(path):
        raise KeyError(path.suffix)

    monkeypatch.setattr("fuzzing.KINDS", {"rate": KINDS["rate"].__class__(fault)})
    assert "KeyError" in try_input(7, ["rate"], seed=1)
