"""The results of the benchmarks, as tables for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from actionstream.benchmarks.latency import PARTS


def show_machine(console: Console, on: dict[str, Any]) -> None:
    """Print the machine and the versions, below each table."""
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    memory = "" if on["memory_gigabytes"] is None else f", {on['memory_gigabytes']:g} GB"
    load = "" if on["load"] is None else f", load {on['load']:g}"
    features = f" ({', '.join(on['features'])})" if on["features"] else ""
    console.print(
        f"\n{on['cpu']}{features}, {on['cores']} cores{memory}{load}, {on['date']}\n{versions}", soft_wrap=True
    )


def show_latency(console: Console, report: dict[str, Any]) -> None:
    """The percentiles of each part of the latency, without and with busy neighbours."""
    other = report["frames"] - report["labelled"] - report["lost"]
    console.print(
        f"{report['labelled']} of {report['frames']} frames labelled at {report['rate']:g} frames/s, {other} between "
        f"samples, {report['lost']} lost\n"
    )
    for name, part in {"quiet": report, "busy": report.get("busy")}.items():
        if part is None:
            continue
        if name == "busy":
            console.print()
        table = _table("ms" if name == "quiet" else f"ms, {part['neighbours']} busy neighbours", *part["total_ms"])
        for what in PARTS:
            table.add_row(what, *(f"{each:.2f}" for each in part["parts_ms"][what].values()))
        table.add_section()
        table.add_row("total", *(f"{each:.2f}" for each in part["total_ms"].values()))
        console.print(table)
    if "busy" in report:
        busy = report["busy"]
        console.print(
            f"\nwith {busy['neighbours']} busy neighbours the median frame takes {busy['times_as_long']:.2f} times as "
            f"long; {busy['share_left']:.0%} of the machine is left, which would make it "
            f"{busy['times_as_long_by_share']:.2f} times"
        )


def show_throughput(console: Console, report: dict[str, Any]) -> None:
    """A line for each batch and number of threads."""
    table = _table("batch", "threads", "ms a step", "frames/s", "over batch 1", "middle half")
    for row in report["rows"]:
        gain = row["over_batch_1"]
        table.add_row(
            str(row["batch"]),
            str(row["threads"]),
            f"{row['step_ms']['median']:.2f}",
            f"{row['frames_a_second']:.1f}",
            f"{gain['median']:.2f}",
            f"{gain['lower']:.2f} to {gain['upper']:.2f}",
        )
    console.print(table)


def show_streams(console: Console, report: dict[str, Any]) -> None:
    """A line for each number of streams, and the part that limits them."""
    parts = list(report["tries"][0]["busy_seconds"])
    table = _table("streams", "p50\nms", "p99\nms", "lost", *parts, "cores", "GB", "held")
    for each in report["tries"]:
        latency = each["latency_ms"]
        table.add_row(
            str(each["streams"]),
            *(("-", "-") if latency is None else (_short(latency["p50"]), _short(latency["p99"]))),
            str(each["lost"]),
            *(f"{each['busy_seconds'][part]:.2f}" for part in parts),
            f"{each['processors']:.2f}",
            f"{each['megabytes'] / 1024:.2f}",
            "yes" if each["held"] else "no",
        )
    console.print(table)
    console.print(
        f"\n{report['streams']} streams of {report['rate']:g} frames/s, p99 below {report['interval_ms']:.1f} ms and "
        "nothing lost; the parts are seconds of work in a second"
    )
    if report["limit"] is not None:
        console.print(f"{report['too_many']} are too many: most of the time goes into {report['limit']}")


def show_decoders(console: Console, report: dict[str, Any]) -> None:
    """A line for each decoder, without and with resizing."""
    high, wide = report["resized_to"]
    console.print(
        f"{report['frames']} frames of {report['width']} x {report['height']}, resized to {wide} x {high}, "
        f"{report['rounds']} rounds\n"
    )
    table = _table("decoder", "ms a frame", "middle half", "frames/s")
    for row in report["decoders"]:
        spent = row["ms_a_frame"]
        table.add_row(
            row["decoder"] + (", resized" if row["resized"] else ""),
            f"{spent['median']:.2f}",
            f"{spent['lower']:.2f} to {spent['upper']:.2f}",
            f"{row['frames_a_second']:.0f}",
        )
    console.print(table)


def show_ratios(console: Console, report: dict[str, Any]) -> None:
    """A line for each figure, by network and runtime."""
    console.print(
        f"{report['height']} x {report['width']} pixels, {report['threads']} threads, {report['rounds']} rounds; "
        f"{report['weights']}\n"
    )
    table = _table("ms: left / right", "left", "right", "ratio", "middle half", "wanted")
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in report["rows"]:
        groups.setdefault(f"{row['network']}, {row['runtime']}", []).append(row)
    for group, row in ((group, row) for group, rows in groups.items() for row in rows):
        if row is groups[group][0]:
            table.add_section()
            table.add_row(group)
        ratio = row["ratio"]
        goals = {">=": row["at_least"], "<=": row["at_most"]}
        wanted = [f"{sign} {goal:g}" for sign, goal in goals.items() if goal is not None]
        table.add_row(
            f"  {row['figure']}",
            _short(row["left"]["median_ms"]),
            _short(row["right"]["median_ms"]),
            _short(ratio["median"]),
            f"{_short(ratio['lower'])}..{_short(ratio['upper'])}",
            " ".join([*wanted, "" if row["met"] else "NO"] if wanted else []),
        )
    console.print(table)
    for what in report["left_out"]:
        console.print(f"left out: {what}")


def show_soak(console: Console, report: dict[str, Any]) -> None:
    """Memory and latency, at the start and at the end."""
    memory, latency = report["megabytes"], report["latency_ms"]
    table = _table(f"{report['frames']} frames", "begin", "end", "most", "")
    table.add_row(
        "memory, MB",
        f"{memory['after_warm_up']:.1f}",
        f"{memory['last']:.1f}",
        f"{memory['highest']:.1f}",
        f"{report['growth_megabytes']:+.2f} MB",
    )
    table.add_row(
        "latency, ms",
        f"{report['first_tenth_ms']:.3f}",
        f"{report['last_tenth_ms']:.3f}",
        f"{latency['max']:.3f}",
        f"{report['drift']:.3f} times",
    )
    console.print(table)
    console.print(
        f"\nmemory from frame {report['warm_up_frames']} on; latency: medians of the first and the last tenth of the "
        f"frames; of all p50 {latency['p50']:.2f} ms, p99 {latency['p99']:.2f} ms"
    )


def show_soak_streams(console: Console, report: dict[str, Any]) -> None:
    """Memory, threads and files, after the warm-up and at the end."""
    table = _table(f"{report['frames']} frames", "after a tenth", "end", "most")
    for name, what in (("megabytes", "memory, MB"), ("threads", "threads"), ("files", "open files")):
        values = report[name]
        digits = 1 if name == "megabytes" else 0
        table.add_row(what, *(f"{values[when]:.{digits}f}" for when in ("after_warm_up", "last", "highest")))
    console.print(table)
    first, second = report["frames_a_second"]
    console.print(
        f"\n{report['streams']} streams of {report['rate']:g} frames/s, {report['reconnects']} reconnects; "
        f"{report['labelled']} frames labelled; {first:.1f} frames/s in the first half, {second:.1f} in the second"
    )


def show_outages(console: Console, report: dict[str, Any]) -> None:
    """What arrived at each sink, and the frames a second without the broker."""
    table = _table("records", "stored", "missing", "unknown", "twice", "in order")
    for name, sink in report["sinks"].items():
        counts = (sink["records"], sink["missing"], sink["unknown"], sink["came_again"])
        table.add_row(name, *map(str, counts), "yes" if sink["in_order"] else "NO")
    console.print(table)
    rates = report["frames_a_second"]
    console.print(
        f"{report['seconds'] / 60:g} min, {report['cameras']} cameras, killed {report['kills']} times, the broker away "
        f"for {report['broker_away_seconds'] / 60:g} min\n"
        f"{report['events']} events, {report['ended_by_restart']} ended by a restart, {report['unpaired']} not paired\n"
        f"frames/s with the broker {rates['with_broker']:.1f}, without {rates['without_broker']:.1f}: "
        f"{rates['ratio']:.3f} times"
    )


def show_clips(console: Console, report: dict[str, Any]) -> None:
    """Percent of a core in each round: without packets, and what their way and rings and clips add to it."""
    table = _table("percent of a core", "without packets", "+ their way", "+ rings and clips", "both")
    rounds = {f"round {number}": row for number, row in enumerate(report["rounds"], start=1)}
    for name, row in {**rounds, "median": report["median_percent"]}.items():
        table.add_row(name, *(f"{row[part]:.2f}" for part in ("base", "way", "clips", "all")))
    console.print(table)
    clips = ", ".join(f"{count} {what}" for what, count in report["clips"].items())
    console.print(
        f"{report['cameras']} cameras of {report['size']} at {report['rate']:g} frames/s and "
        f"{report['megabits_a_second']:.1f} Mbit/s, {report['seconds']:g} s a round\n"
        f"clips in the last round: {clips}"
    )


def show_serve_soak(console: Console, report: dict[str, Any]) -> None:
    """What grew from the first third of the day, after the warm-up, to the last one."""
    table = _table("a day in short", "begin", "end")
    for name, growth in report["growth"].items():
        table.add_row(name.replace("_", " "), f"{growth['from']:.1f}", f"{growth['to']:.1f}")
    console.print(table)
    console.print(
        f"24 h in {report['seconds'] / 60:g} min, {report['cameras']} cameras, {report['labelled']} frames labelled, "
        f"{report['labelled_a_second']:.0f} a second"
    )


def show_start(console: Console, report: dict[str, Any]) -> None:
    """A line for each command."""
    table = _table("seconds", "median", "middle half", "wanted")
    for row in report["rows"]:
        spent, target = row["seconds"], row["target_seconds"]
        table.add_row(
            row["what"],
            f"{spent['median']:.2f}",
            f"{spent['lower']:.2f} to {spent['upper']:.2f}",
            "" if target is None else f"< {target:g}",
        )
    console.print(table)


def show_teaching(console: Console, report: dict[str, Any]) -> None:
    """A line for each part of the data set and number of recordings with examples."""
    table = _table("", "labels", "recordings", "at the end", "at any time", "single pictures")
    for row in report["rows"]:
        figures = (f"{100 * mean:.1f} ± {100 * row['deviation'][name]:.1f} %" for name, mean in row["accuracy"].items())
        table.add_row(row["part"], str(row["labels"]), str(row["groups"]), *figures)
    console.print(table)
    console.print(
        f"accuracy on clips of the other recordings: mean and standard deviation of {report['draws']} draws of the "
        "recordings with the examples"
    )
    step = report["step"]
    console.print(
        f"a live step of one stream takes {step['taught_ms']:.1f} ms, {step['ratio']:.2f} of the backbones alone "
        f"({step['backbones_ms']:.1f} ms)"
    )
    if "false_starts" in report:
        _show_false_starts(console, report["false_starts"], report["draws"])
    if "detection" in report:
        found = report["detection"]
        deviation = found["deviation"]
        precisions = ", ".join(
            f"{100 * mean:.1f} ± {100 * deviation[iou]:.1f} % at IoU {iou}" for iou, mean in found["mAP"].items()
        )
        console.print(f"\nmAP of detection in {found['videos']} whole videos: {precisions}")


def _show_false_starts(console: Console, rows: Sequence[dict[str, Any]], draws: int) -> None:
    console.print()
    table = _table("", "promised", "counted", "in the interval", "missed actions")
    for row in rows:
        table.add_row(
            row["part"],
            f"{row['promised_per_hour']:g} an hour",
            f"{row['counted_per_hour']:.0f} an hour",
            f"{row['draws_in_interval']} of {draws} draws",
            f"{100 * row['missed']:.1f} %",
        )
    console.print(table)
    console.print(
        f"false starts in background of the other recordings, {rows[0]['minutes_of_a_draw']:.1f} minutes a draw; draws "
        "in which the promise lies in the 95 % Poisson interval of the count; actions of the others that never "
        "start"
    )


def _table(*heads: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column(heads[0], no_wrap=True)
    for head in heads[1:]:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _short(value: float) -> str:
    """A number with at least three digits, but at most two after the point."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"
