"""Reports of benchmarks are kept by machine, date and version, and drawn."""

import json

import pytest

from actionstream.benchmarks.history import figures

MACHINE = {
    "cpu": "Fast CPU (R) 9",
    "features": ["avx2"],
    "cores": 2,
    "date": "2026-11-27",
    "versions": {"actionstream": "0.1.0"},
}


def report(path, machine=MACHINE, **what):
    path.write_text(json.dumps({"benchmark": "streams", "machine": machine, "model": "motion", "rate": 15, **what}))
    return path


def test_reports_are_kept_and_drawn(run, tmp_path):
    ratio = {
        "figure": "eager / this",
        "network": "n",
        "runtime": "onnx",
        "ratio": {"median": 3.5},
        "rounds_ms": [[1, 2]],
    }
    later = {**MACHINE, "date": "2026-12-01"}
    new = [
        report(tmp_path / "a.json", streams=20),
        report(tmp_path / "b.json", later, streams=25),
        report(tmp_path / "c.json", later, benchmark="ratios", model=None, rows=[ratio]),
    ]
    folder, picture = tmp_path / "history", tmp_path / "history.png"
    code, out, err = run("bench", "history", folder, *new, "--picture", picture)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"{picture} shows 3 reports"
    assert sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*")) == [
        f"fast-cpu-r-9-2-cores-avx2/{name}.json"
        for name in (
            "2026-11-27-0.1.0-streams-motion",
            "2026-12-01-0.1.0-ratios",
            "2026-12-01-0.1.0-streams-motion",
        )
    ]
    assert picture.read_bytes()[:4] == b"\x89PNG"
    kept = json.loads((folder / "fast-cpu-r-9-2-cores-avx2" / "2026-12-01-0.1.0-ratios.json").read_text())
    assert "rounds_ms" not in kept["rows"][0]
    assert dict(figures(kept)) == {"eager / this, n, onnx": 3.5}
    code, out, _ = run("bench", "history", folder, report(tmp_path / "d.json", later, streams=30))
    assert code == 0
    assert len(list(folder.glob("*/*"))) == 3  # of the same day, machine and version


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "cannot be read"), ("[]", "is no report of a benchmark"), ('{"benchmark": "streams"}', "is no report")],
)
def test_what_is_no_report_is_refused_and_nothing_is_kept(text, said, run, tmp_path):
    (tmp_path / "bad.json").write_text(text)
    good = report(tmp_path / "good.json", streams=1)
    code, _, err = run("bench", "history", tmp_path / "history", good, tmp_path / "bad.json")
    assert (code, said in err) == (2, True)
    assert not (tmp_path / "history").exists()


def test_an_empty_history_cannot_be_drawn(run, tmp_path):
    code, _, err = run("bench", "history", tmp_path, "--picture", tmp_path / "a.png")
    assert (code, "has no report to draw" in err) == (2, True)
