"""How fast it is: `python tests/speed/run_all.py [--only NAME] [--quick]`. Prints tables, asserts nothing.

Everything happens on this machine and in a temporary folder (about 4 GB at its fullest) that is removed at the end. All
of it takes half an hour.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import checkpoints
import judged_tables
import limits
import live
import metadata
import report
import shards
import startup
import transport
import upload
from measure import conditions, print_table

BENCHMARKS = {
    "startup": startup.measure,
    "upload": upload.measure,
    "transport": transport.measure,
    "live": live.measure,
    "limit-per-second": limits.measure_second,
    "limit-per-minute": limits.measure_minute,
    "limits-untold": limits.measure_untold,
    "checkpoints": checkpoints.measure,
    "shards": shards.measure,
    "metadata": metadata.measure,
    "tables": judged_tables.measure,
    "report": report.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, help="one of them")
    parser.add_argument("--quick", action="store_true", help="about a tenth of the work, to see that all runs")
    parser.add_argument("--folder", type=Path, help="where to make the temporary folder")
    parser.add_argument("--window", type=float, choices=limits.UNTOLD, help="of limits-untold: one length, in seconds")
    options = parser.parse_args()
    if options.window is not None:
        BENCHMARKS["limits-untold"] = partial(limits.measure_untold, windows_s=(options.window,))
    print(conditions() + (", quick" if options.quick else ""))
    for name in [options.only] if options.only else BENCHMARKS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="vlures-bench-", dir=options.folder) as folder:
            for table in BENCHMARKS[name](Path(folder), options.quick):
                print_table(table)
        print(f"  ({name} took {time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
