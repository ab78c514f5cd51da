"""Adds the ceiling's figures and the ratios to a benchmark's JSON, and prints them.

compare.py RESULTS_JSON CEILING_LINES
"""

import json
import re
import sys

# Load of the ceiling, load of the benchmark, what is compared.
COMPARISONS = [
    ("bulk", "end to end: stream, 64 a message", "per_second"),
    ("stream", "end to end: stream, 1 a message", "per_second"),
    ("unary", "end to end: unary, 64 in flight", "per_second"),
    ("sequential", "sequential: stream, submit to outcome", "p50_us"),
    ("sequential", "sequential: stream, submit to outcome", "p99_us"),
]
LINE = re.compile(
    r"^e2e\tceiling (\w+)\ttask/s=(\d+)\tp50us=(\d+)\tp99us=(\d+)", re.MULTILINE)


def main() -> None:
    results_file, ceiling_file = sys.argv[1:]
    with open(results_file, encoding="utf-8") as file:
        results = json.load(file)
    with open(ceiling_file, encoding="utf-8") as file:
        ceiling = {
            load: {"per_second": float(rate), "p50_us": float(p50), "p99_us": float(p99)}
            for load, rate, p50, p99 in LINE.findall(file.read())
        }
    ratios = {}
    for load, name, figure in COMPARISONS:
        ours = results.get("loads", {}).get(name, {}).get(figure)
        theirs = ceiling.get(load, {}).get(figure)
        if ours is None or not theirs:
            continue
        ratios[f"{load} {figure}"] = ours / theirs
        print(f"of the ceiling: {load + ' ' + figure:24} {ours:10.0f} / {theirs:10.0f} = {ours / theirs:5.2f}")
    if ceiling:
        results["ceiling"] = ceiling
        results["of_the_ceiling"] = ratios
        with open(results_file, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=2)
    print(f"written: {results_file}")


if __name__ == "__main__":
    main()
