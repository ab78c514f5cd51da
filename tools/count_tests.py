"""Counts test cases from Bazel's build events; the last step of test.sh.

Usage: count_tests.py EVENTS_FILE BAZEL_EXIT_STATUS

Prints what failed and, last, "N passed, N failed". The exit status is 0 only if Bazel's was, nothing failed and
something ran. A test target that fails without saying which case (it crashed, ran too long, did not build) counts as
one failed case.
"""

import json
import sys
import urllib.parse
import xml.etree.ElementTree


def cases(xml_path):
    """Returns (run, names of the failed) of one test.xml; skipped and disabled cases are not counted."""
    run = 0
    failed = []
    for case in xml.etree.ElementTree.parse(xml_path).iter("testcase"):
        if case.get("status") == "notrun" or case.find("skipped") is not None:
            continue
        run += 1
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname') or ''}.{case.get('name')}".lstrip("."))
    return run, failed


def main():
    events_path, bazel_status = sys.argv[1], int(sys.argv[2])
    results = {}  # target -> (passed?, path of test.xml or None); the last attempt counts
    not_built = set()
    with open(events_path, encoding="utf-8") as events:
        for line in events:
            event = json.loads(line)
            identity = event.get("id", {})
            if "testResult" in identity:
                result = event.get("testResult", {})
                xml_path = None
                for output in result.get("testActionOutput", []):
                    if output.get("name") == "test.xml":
                        xml_path = urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
                shard = (identity["testResult"]["label"], identity["testResult"].get("shard", 1))
                results[shard] = (result.get("status") == "PASSED", xml_path)
            elif "targetCompleted" in identity and not event.get("completed", {}).get("success", False):
                not_built.add(identity["targetCompleted"]["label"])

    passed = 0
    failures = []
    for (label, _), (succeeded, xml_path) in sorted(results.items()):
        run, failed = 0, []
        if xml_path is not None:
            try:
                run, failed = cases(xml_path)
            except (OSError, xml.etree.ElementTree.ParseError):
                pass  # a test that was killed may leave half a file
        if succeeded:
            passed += max(run, 1) - len(failed)
        else:
            passed += run - len(failed)
            failed = failed or ["(the whole test: it crashed, ran too long, or failed outside a case)"]
        failures += [f"{label}: {name}" for name in failed]
    tested = {label for label, _ in results}
    failures += [f"{label}: did not build" for label in sorted(not_built - tested)]

    for failure in failures:
        print("FAILED", failure)
    if bazel_status != 0 and not failures:
        print(f"Bazel failed with status {bazel_status}; its message is above.")
    if passed == 0 and not failures:
        print("No test ran.")
    print(f"{passed} passed, {len(failures)} failed")
    return 0 if bazel_status == 0 and passed > 0 and not failures else 1


if __name__ == "__main__":
    sys.exit(main())
