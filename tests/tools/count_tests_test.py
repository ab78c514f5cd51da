"""What test.sh says at its end."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest


class CountTestsTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"]))
        self.events = []

    def add_result(self, label, status, cases=None):
        """A finished test target; `cases` is the inside of its test.xml, None if it left none."""
        outputs = []
        if cases is not None:
            path = self.folder / f"{len(self.events)}.xml"
            path.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
            outputs.append({"name": "test.xml", "uri": path.as_uri()})
        self.events.append(
            {
                "id": {"testResult": {"label": label, "run": 1, "shard": 1, "attempt": 1}},
                "testResult": {"status": status, "testActionOutput": outputs},
            }
        )

    def count(self, bazel_status):
        """Returns the exit status and the lines that count_tests.py prints."""
        path = self.folder / "events.json"
        path.write_text("".join(json.dumps(event) + "\n" for event in self.events))
        done = subprocess.run(
            [sys.executable, "tools/count_tests.py", str(path), str(bazel_status)],
            stdout=subprocess.PIPE,
            check=False,
            text=True,
        )
        return done.returncode, done.stdout.splitlines()

    def test_cases_of_all_targets_are_summed(self):
        self.add_result("//a:a", "PASSED", '<testcase name="x"/><testcase name="y"/>')
        self.add_result("//b:b", "PASSED", '<testcase name="z"/>')
        self.assertEqual((0, ["3 passed, 0 failed"]), self.count(0))

    def test_skipped_and_disabled_cases_are_not_counted(self):
        self.add_result(
            "//a:a",
            "PASSED",
            '<testcase name="x"/><testcase name="y"><skipped/></testcase><testcase name="z" status="notrun"/>',
        )
        self.assertEqual((0, ["1 passed, 0 failed"]), self.count(0))

    def test_failed_case_is_named(self):
        self.add_result("//a:a", "FAILED", '<testcase name="x"/><testcase classname="A" name="y"><failure/></testcase>')
        self.assertEqual((1, ["FAILED //a:a: A.y", "1 passed, 1 failed"]), self.count(3))

    def test_target_that_dies_without_naming_a_case_is_one_failure(self):
        self.add_result("//a:a", "TIMEOUT")
        status, lines = self.count(3)
        self.assertEqual((1, "0 passed, 1 failed"), (status, lines[-1]))

    def test_target_that_does_not_build_is_one_failure(self):
        self.add_result("//a:a", "PASSED", '<testcase name="x"/>')
        self.events.append({"id": {"targetCompleted": {"label": "//b:b"}}, "completed": {}})
        self.assertEqual((1, ["FAILED //b:b: did not build", "1 passed, 1 failed"]), self.count(1))

    def test_nothing_run_is_a_failure(self):
        self.assertEqual((1, ["No test ran.", "0 passed, 0 failed"]), self.count(0))

    def test_bazels_own_failure_is_a_failure(self):
        self.add_result("//a:a", "PASSED", '<testcase name="x"/>')
        status, lines = self.count(37)
        self.assertEqual((1, "1 passed, 0 failed"), (status, lines[-1]))


if __name__ == "__main__":
    unittest.main()
