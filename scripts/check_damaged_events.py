#!/usr/bin/env python3
"""Damages copies of a logdir's event files and reads them with TensorBoard's own loader.

    pip install tensorboard
    scripts/check_damaged_events.py LOGDIR [--tries N]

Cuts the end off, or flips one bit, at N random places of each file. Exit code 1, with a message, if
the loader does not give every record before the damage.
"""
import argparse
import logging
import pathlib
import random
import struct
import sys
import tempfile

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader


def ends(data):
    """Where each record ends: length, its checksum, that many bytes, their checksum."""
    at, found = 0, []
    while at < len(data):
        at += 16 + struct.unpack_from("<Q", data, at)[0]
        found.append(at)
    return found


def damaged(data, at):
    """Cut off, and with one bit flipped, at byte `at`."""
    yield "cut off", data[:at]
    flipped = bytearray(data)
    flipped[at] ^= 1 << random.randrange(8)
    yield "a bit flipped", bytes(flipped)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logdir", type=pathlib.Path)
    parser.add_argument("--tries", type=int, default=500, help="places in each file")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    random.seed(0)
    paths = sorted(args.logdir.glob("events.out.tfevents.*"))
    if not paths:
        sys.exit(f"check_damaged_events: {args.logdir}: no event file")
    for path in paths:
        data = path.read_bytes()
        whole = list(RawEventFileLoader(str(path)).Load())
        if len(whole) != len(ends(data)):
            sys.exit(f"check_damaged_events: {path}: {len(whole)} of {len(ends(data))} records")
        for _ in range(args.tries):
            at = random.randrange(len(data))
            before = sum(end <= at for end in ends(data))
            for how, copy in damaged(data, at):
                with tempfile.NamedTemporaryFile() as file:
                    file.write(copy)
                    file.flush()
                    read = list(RawEventFileLoader(file.name).Load())
                if read != whole[:before]:
                    sys.exit(
                        f"check_damaged_events: {path}: {how} at byte {at}: {len(read)} records"
                        f" read, {before} are whole before it"
                    )
        print(f"{path.name}: {len(whole)} records, {args.tries} cuts and {args.tries} bits flipped")


if __name__ == "__main__":
    main()
