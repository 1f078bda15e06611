#!/usr/bin/env python3
"""Reads what a run left in a logdir with other people's readers, and says what it found.

    pip install tensorboard safetensors numpy
    scripts/check_logdir.py LOGDIR [--zeros NAME=COUNT ...] [--strict]

Exit code 1, with a message, if a file cannot be read whole, if there is no scalar, if what is there
contradicts itself, or if a tensor of the newest checkpoint does not hold exactly COUNT zeros.
With --strict also if something is missing that a run which ended well leaves: hyperparameters,
the session's checkpoints and end, magnitudes of each pruned weight, readbacks in timelines.
"""
import argparse
import collections
import json
import logging
import math
import pathlib
import struct
import sys

import numpy
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import SessionLog
from tensorboard.plugins.hparams import api_pb2, metadata


class Bad(Exception):
    """What is wrong with a logdir."""


def require(truth, message):
    if not truth:
        raise Bad(message)


def records(path):
    """Number of records by their lengths alone: the loader ends at damage without a word."""
    data = path.read_bytes()
    at = count = 0
    while at < len(data):
        require(at + 12 <= len(data), f"{path}: record {count} is cut off in its header")
        at += 16 + struct.unpack_from("<Q", data, at)[0]
        over = at - len(data)
        require(over <= 0, f"{path}: record {count} ends {over} bytes after the file")
        count += 1
    return count


def check_events(logdir, strict):
    paths = sorted(logdir.glob("events.out.tfevents.*"))
    require(paths, f"{logdir}: no event file")
    files = {path: list(EventFileLoader(str(path)).Load()) for path in paths}
    for path, events in files.items():
        stated = records(path)
        whole = f"{path}: {stated} records, but only {len(events)} could be loaded"
        require(stated == len(events), whole)
    check_sessions(logdir, files, strict)
    check_hparams(logdir, [event for events in files.values() for event in events], strict)
    accumulator = EventAccumulator(str(logdir), size_guidance={"scalars": 0, "histograms": 0})
    accumulator.Reload()
    check_scalars(logdir, accumulator)
    for tag in sorted(accumulator.Tags()["histograms"]):
        check_histograms(tag, accumulator.Histograms(tag))
    check_magnitudes(accumulator, strict)


def check_sessions(logdir, files, strict):
    status, saved = None, set()
    for path, events in files.items():
        opens = all(event.session_log.status == SessionLog.START for event in events[1:2])
        require(opens, f"{path}: its second record is no START of a session")
        for event in events:
            if not event.HasField("session_log"):
                continue
            status = event.session_log.status
            if status == SessionLog.CHECKPOINT:
                folder = pathlib.PurePath(event.session_log.checkpoint_path).name
                wanted = f"ckpt-{event.step:012}"
                require(folder == wanted, f"{path}: checkpoint {folder}, its step says {wanted}")
                saved.add(folder)
            name = SessionLog.SessionStatus.Name(status)
            print(f"session {name} at step {event.step}", event.session_log.checkpoint_path)
    unsaid = [folder.name for folder in checkpoints(logdir) if folder.name not in saved]
    require(not (strict and unsaid), f"{logdir}: no event says that {unsaid} were saved")
    require(not strict or status == SessionLog.STOP, f"{logdir}: the last session has no STOP")


def check_hparams(logdir, events, strict):
    """As the dashboard, which takes the first of each kind."""
    contents = {}
    for event in events:
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == metadata.PLUGIN_NAME:
                contents.setdefault(value.tag, value.metadata.plugin_data.content)
    start, end = (
        contents.get(tag)
        for tag in (metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG)
    )
    if start is not None:
        info = metadata.parse_session_start_info_plugin_data(start)
        require(info.start_time_secs > 0, f"{logdir}: hyperparameters without a time")
        for name, value in sorted(info.hparams.items()):
            kind = value.WhichOneof("kind")
            require(kind, f"{logdir}: hyperparameter {name} has no value")
            print(f"hparam {name}: {getattr(value, kind)!r}")
    if end is not None:
        info = metadata.parse_session_end_info_plugin_data(end)
        print(f"hparams session: {api_pb2.Status.Name(info.status)}")
        require(info.status == api_pb2.STATUS_SUCCESS, f"{logdir}: an end without success")
    require(not strict or start and end, f"{logdir}: no hyperparameters, or not their end")


def check_scalars(logdir, accumulator):
    curves = {tag: accumulator.Scalars(tag) for tag in accumulator.Tags()["scalars"]}
    require(any(curves.values()), f"{logdir}: no scalar")
    for tag, events in sorted(curves.items()):
        check_steps(tag, events)
        print(f"scalar {tag}: {len(events)} values, last {events[-1].value if events else 'none'}")


def check_steps(tag, events):
    """A value that a later history replaced would come again."""
    for before, after in zip(events, events[1:]):
        require(before.step < after.step, f"{tag}: step {after.step} after {before.step}")


def check_histograms(tag, events):
    check_steps(tag, events)
    for event in events:
        histogram, where = event.histogram_value, f"{tag}: step {event.step}"
        counted, edges = sum(histogram.bucket), histogram.bucket_limit
        require(counted == histogram.num, f"{where}: {counted} in bins, {histogram.num} stated")
        ascend = all(left < right for left, right in zip(edges, edges[1:]))
        require(ascend and edges[0] >= histogram.min, f"{where}: edges that do not ascend")
        require(edges[-1] == histogram.max, f"{where}: ends at {edges[-1]}, not {histogram.max}")
    if events:
        span = f"{histogram.min:.4g} to {histogram.max:.4g}"
        print(f"histogram {where}: {histogram.num:.0f} values, {span}; {len(events)} in all")


def check_magnitudes(accumulator, strict):
    """The threshold of the mask update before each histogram is one of its edges."""
    tags = set(accumulator.Tags()["histograms"])
    for thresholds in accumulator.Tags()["scalars"]:
        scope, _, what = thresholds.rpartition("/")
        tag = scope.partition("_summaries/")[2] + "/magnitude"
        if what != "threshold":
            continue
        require(tag in tags or not strict, f"no histogram {tag}, but a threshold {thresholds}")
        for event in accumulator.Histograms(tag) if tag in tags else []:
            histogram = event.histogram_value
            before = [e.value for e in accumulator.Scalars(thresholds) if e.step <= event.step]
            threshold = before[-1] if before else 0.0
            if not histogram.min <= threshold <= histogram.max:
                continue
            edges = histogram.bucket_limit
            where = f"{tag}: step {event.step}"
            nearest = min(edges, key=lambda edge: abs(edge - threshold))
            require(nearest == threshold, f"{where}: {threshold} is no edge, but {nearest} is")
            pruned = sum(histogram.bucket[: edges.index(threshold) + 1])
            print(f"magnitudes {where}: {pruned:.0f} of {histogram.num:.0f} up to {threshold:.4g}")


def read_tensors(path):
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def checkpoints(logdir):
    return sorted(logdir.glob("ckpt-" + "[0-9]" * 12))


def check_checkpoints(logdir, zeros):
    folders = checkpoints(logdir)
    require(folders or not zeros, f"{logdir}: no checkpoint to count zeros in")
    model = {}
    for folder in folders:
        lines = (folder / "manifest.json").read_text().split("\n")
        require(len(lines) == 2 and len(lines[1]) == 16, f"{folder}: manifest without its checksum")
        manifest = json.loads(lines[0])
        for file in manifest["files"]:
            path = folder / file["name"]
            size = path.stat().st_size
            require(size == file["bytes"], f"{path}: {size} bytes, stated {file['bytes']}")
            read_tensors(path)
        model = read_tensors(folder / "model.safetensors")
        print(f"checkpoint {folder.name}: global step {manifest['global_step']}")
    counts = {name: int(numpy.count_nonzero(tensor == 0)) for name, tensor in model.items()}
    for name, tensor in sorted(model.items()):
        print(f"tensor {name} {list(tensor.shape)}: {counts[name]} zeros of {tensor.size}")
    for name, wanted in zeros:
        require(name in counts, f"no tensor {name}; there are {', '.join(sorted(counts))}")
        require(counts[name] == wanted, f"{name}: {counts[name]} zeros, wanted {wanted}")


def check_timelines(logdir, strict):
    paths, readbacks = sorted(logdir.glob("timeline-*.json")), 0
    for path in paths:
        events = json.loads(path.read_text())["traceEvents"]
        for at, event in enumerate(events):
            where = f"{path}: event {at}"
            require(event.get("ph"), f"{where} has no ph")
            for key in ("ts", "dur") if event["ph"] == "X" else ("ts",):
                value = event.get(key)
                sound = isinstance(value, (int, float)) and math.isfinite(value) and value >= 0
                require(sound, f"{where} has {key} {value}, wanted a number of at least 0")
        rows = check_rows(path, events)
        arrows = check_pairs(path, events, "s", "f")
        for _, _, *ends in arrows:
            for end in ends:
                inside = any(start <= ns(end["ts"]) <= stop for start, stop, _ in rows[row(end)])
                require(inside, f"{path}: an arrow at {end['ts']} us on {row(end)} meets no span")
        overlapping = check_pairs(path, events, "b", "e")
        for name, id, begin, end in overlapping:
            forward = begin["ts"] <= end["ts"] and row(begin) == row(end)
            require(forward, f"{path}: {name} {id} ends before it begins, or elsewhere")
        readbacks += len(overlapping)
        ids = [pair[1] for pair in arrows + overlapping]
        require(len(ids) == len(set(ids)), f"{path}: arrows and overlapping spans share an id")
        busy = sum(event["dur"] for event in events if event["ph"] == "X")
        spans = sum(map(len, rows.values()))
        counts = f"{spans} spans, {len(overlapping)} overlapping, {len(arrows)} arrows"
        print(f"timeline {path.name}: {counts}, {busy:.3f} us in all")
    require(not strict or not paths or readbacks, f"{logdir}: no readback in any timeline")


def row(event):
    return event["pid"], event["tid"]


def ns(microseconds):
    return round(microseconds * 1000)


def check_rows(path, events):
    """Start, end and name of each row's spans, which nest or are apart; every row has a name."""
    named = {row(event) for event in events if event.get("name") == "thread_name"}
    rows = collections.defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            start = ns(event["ts"])
            rows[row(event)].append((start, start + ns(event["dur"]), event["name"]))
    for where, spans in rows.items():
        require(where in named, f"{path}: spans on {where}, which has no name")
        around = []
        for start, end, name in sorted(spans, key=lambda span: (span[0], -span[1])):
            while around and around[-1][0] <= start:
                around.pop()
            if around and end > around[-1][0]:
                wrong = f"{name} ends at {end} ns, after {around[-1][1]} around it"
                raise Bad(f"{path}: {where}: {wrong} at {around[-1][0]} ns")
            around.append((end, name))
    return rows


def check_pairs(path, events, first, second):
    """Name, id and both events of each pair; an id has just the two, in this order."""
    ids = collections.defaultdict(list)
    for event in events:
        if event["ph"] in (first, second):
            id = event.get("id", event.get("id2", {}).get("local"))
            ids[event["name"], id].append(event)
    for (name, id), pair in ids.items():
        phases = [event["ph"] for event in pair]
        paired = id is not None and phases == [first, second]
        require(paired, f"{path}: {name} {id} has {phases}, wanted {first} and {second}")
    return [(name, id, *pair) for (name, id), pair in ids.items()]


def name_and_count(text):
    name, _, count = text.rpartition("=")
    if not name or not count.isdigit():
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=COUNT")
    return name, int(count)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logdir", type=pathlib.Path)
    parser.add_argument(
        "--zeros", metavar="NAME=COUNT", type=name_and_count, action="append", default=[]
    )
    parser.add_argument("--strict", action="store_true", help="something missing is wrong too")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    try:
        check_events(args.logdir, args.strict)
        check_checkpoints(args.logdir, args.zeros)
        check_timelines(args.logdir, args.strict)
    except Bad as error:
        sys.exit(f"check_logdir: {error}")
    except Exception as error:  # every reader has exceptions of its own
        sys.exit(f"check_logdir: {args.logdir}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
