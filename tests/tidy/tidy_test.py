"""Checks what the compiler cannot: layering, banned calls, the shape of .proto files, file length."""

import fnmatch
import os
import re
import subprocess
import tempfile
import unittest

from google.protobuf import descriptor_pb2

from tests.tidy import source_tree

_CPP = (".cc", ".h")
_TEXT = (".cc", ".h", ".proto", ".py", ".sh", ".bzl", ".bazel", ".md", ".yaml")

_FILE_LINES_MAX = 600
# A test file is a list of cases, read one at a time.
_TEST_FILE_LINES_MAX = 800

# The engines decide; the world is around them. Files, what they must not name, and why.
_PURE = (
    r'#include [<"](rocksdb/|grpcpp/|grpc/|spdlog/|thread>|mutex>|condition_variable>|future>|fstream>|filesystem>'
    r'|absl/synchronization/)'
    r"|absl::Now\(|random_device|absl::BitGen\b|std::chrono::\w+_clock::now|std::this_thread|\btime\(nullptr\)"
)
_LAYERS = [
    (["broker/engine/*"], _PURE, "an engine has no clock, thread, disk, network or randomness of its own"),
    (
        ["*"],
        r'#include [<"]rocksdb/',
        "only storage/ knows RocksDB",
        ["storage/*", "tests/storage/*", "tests/support/*", "benchmarks/*"],
    ),
    (
        ["*"],
        r'#include [<"]CLI/',
        "only mains and flag definitions read flags",
        ["*main.cc", "*flags*", "*options*", "cli/*", "common/*", "examples/*", "benchmarks/*", "tests/*"],
    ),
    (["common/*", "storage/*", "client/*"], r'#include "(broker|worker|results|scheduler|cli)/', "a lower layer"),
    (["broker/*"], r'#include "(worker|results|scheduler|cli|client)/', "services meet on the wire alone"),
    (["worker/*"], r'#include "(broker|results|scheduler|cli)/', "services meet on the wire alone"),
    (["results/*"], r'#include "(broker|worker|scheduler|cli|client)/', "services meet on the wire alone"),
    (["*"], r'#include "tests/', "products do not depend on tests", ["tests/*", "benchmarks/*"]),
]

# A handler may throw, and tests of the worker let one do so.
_THROW_ALLOWED = ["tests/worker/*", "tests/support/*"]
# CLI11's only way for a check to refuse a flag's value is to throw its own type.
_THROW = r"\bthrow\b(?!\s+CLI::)"

_SLEEP = r"\bSleepFor\(|\bsleep_for\(|\bsleep_until\(|\busleep\(|\bnanosleep\(|\btime\.sleep\(|^\s*sleep\s+[0-9.$]"


def _any_match(path, patterns):
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


class TidyTest(unittest.TestCase):
    def assert_clean(self, findings, rule):
        if findings:
            self.fail(f"{rule}:\n" + "\n".join(findings))

    def test_tree_is_found(self):
        self.assertIn("WORKSPACE", os.listdir(source_tree.ROOT))
        self.assertGreater(len(source_tree.files(*_CPP)), 0)

    def test_layers_include_only_what_is_below_them(self):
        for patterns, banned, reason, *allowed in _LAYERS:
            findings = []
            for path in source_tree.files(*_CPP):
                if _any_match(path, patterns) and not _any_match(path, allowed[0] if allowed else []):
                    findings += source_tree.matches(path, source_tree.code(path), banned)
            self.assert_clean(findings, reason)

    def test_tests_do_not_sleep(self):
        findings = []
        for path in source_tree.files(".cc", ".h", ".py", ".sh", under="tests"):
            if path.startswith("tests/tidy/"):
                continue
            content = source_tree.code(path) if path.endswith(_CPP) else source_tree.text(path)
            findings += source_tree.matches(path, content, _SLEEP)
        self.assert_clean(findings, "a test waits for what it tests, with a deadline; it does not sleep")

    def test_no_test_is_disabled_or_forgotten(self):
        findings = []
        for path in source_tree.files("_test.cc", under="tests"):
            findings += source_tree.matches(path, source_tree.code(path), r"\bDISABLED_")
            folder, name = os.path.split(path)
            build = os.path.join(folder, "BUILD.bazel")
            build_text = source_tree.text(build) if (source_tree.ROOT / build).exists() else ""
            # By its name, or by its stem in a list of similar tests.
            if f'"{name}"' not in build_text and f'"{name[: -len(".cc")]}"' not in build_text:
                findings.append(f"{path}: {build} does not name it, so it never runs")
        self.assert_clean(findings, "every test runs")

    def test_nothing_throws(self):
        findings = []
        for path in source_tree.files(*_CPP):
            if not _any_match(path, _THROW_ALLOWED):
                findings += source_tree.matches(path, source_tree.code(path), _THROW)
        self.assert_clean(findings, "errors are absl::Status")

    def test_headers_do_not_leak_names(self):
        findings = []
        for path in source_tree.files(".h"):
            findings += source_tree.matches(path, source_tree.code(path), r"^using namespace\b")
            if path.startswith("tools/sanitizers/include/"):
                continue  # stands in for a system header, whose path it must have
            guard = "APIUM_" + re.sub(r"[^A-Z0-9]", "_", path.upper()) + "_"
            if f"#ifndef {guard}\n#define {guard}\n" not in source_tree.text(path):
                findings.append(f"{path}: wants the include guard {guard}")
        self.assert_clean(findings, "headers")

    def test_nothing_is_left_to_do(self):
        # Written in two parts, so that this file does not find itself.
        marks = r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"
        findings = []
        for path in source_tree.files(*_TEXT):
            findings += source_tree.matches(path, source_tree.text(path), marks)
        self.assert_clean(findings, "finish it, or write down the limit as a fact")

    def test_files_are_short(self):
        findings = []
        for path in source_tree.files(".cc", ".h", ".py", ".sh", ".bzl"):
            lines = source_tree.text(path).count("\n")
            limit = _TEST_FILE_LINES_MAX if path.startswith("tests/") else _FILE_LINES_MAX
            if lines > limit:
                findings.append(f"{path}: {lines} lines, over {limit}")
        self.assert_clean(findings, "a file this long has a second concept in it")


class ProtoTest(unittest.TestCase):
    """Field numbers below are those of google/protobuf/descriptor.proto, of which a path is made."""

    MESSAGES, ENUMS, SERVICES = 4, 5, 6
    MESSAGE_FIELDS, MESSAGE_MESSAGES, MESSAGE_ENUMS = 2, 3, 4
    ENUM_VALUES, SERVICE_METHODS = 2, 2

    def setUp(self):
        protos = [path for path in source_tree.files(".proto", under="protos")]
        self.assertGreater(len(protos), 0)
        with tempfile.NamedTemporaryFile() as output:
            subprocess.run(
                ["/usr/bin/protoc", "--proto_path=protos", "--include_source_info"]
                + [f"--descriptor_set_out={output.name}"]
                + [os.path.relpath(path, "protos") for path in protos],
                cwd=source_tree.ROOT,
                check=True,
            )
            descriptors = descriptor_pb2.FileDescriptorSet.FromString(output.read())
        self.files = descriptors.file
        self.findings = []

    def tearDown(self):
        if self.findings:
            self.fail("\n".join(self.findings))

    def walk(self, file):
        """Yields (kind, name, path, descriptor) of everything in a file; kind is a word."""

        def in_message(message, name, path):
            yield "message", name, path, message
            for i, field in enumerate(message.field):
                yield "field", f"{name}.{field.name}", path + (self.MESSAGE_FIELDS, i), field
            for i, nested in enumerate(message.nested_type):
                if not nested.options.map_entry:
                    yield from in_message(nested, f"{name}.{nested.name}", path + (self.MESSAGE_MESSAGES, i))
            for i, enum in enumerate(message.enum_type):
                yield from in_enum(enum, f"{name}.{enum.name}", path + (self.MESSAGE_ENUMS, i))

        def in_enum(enum, name, path):
            yield "enum", name, path, enum
            for i, value in enumerate(enum.value):
                yield "value", f"{name}.{value.name}", path + (self.ENUM_VALUES, i), value

        for i, message in enumerate(file.message_type):
            yield from in_message(message, message.name, (self.MESSAGES, i))
        for i, enum in enumerate(file.enum_type):
            yield from in_enum(enum, enum.name, (self.ENUMS, i))
        for i, service in enumerate(file.service):
            yield "service", service.name, (self.SERVICES, i), service
            for j, method in enumerate(service.method):
                path = (self.SERVICES, i, self.SERVICE_METHODS, j)
                yield "method", f"{service.name}.{method.name}", path, method

    def test_everything_says_what_it_means(self):
        for file in self.files:
            commented = {
                tuple(location.path)
                for location in file.source_code_info.location
                if location.leading_comments.strip() or location.trailing_comments.strip()
            }
            for kind, name, path, descriptor in self.walk(file):
                # Zero of an enum is "unspecified" everywhere; a request and a response are what their method says.
                obvious = (kind == "value" and descriptor.number == 0) or (
                    kind == "message" and name.endswith(("Request", "Response"))
                )
                if not obvious and path not in commented:
                    self.findings.append(f"{file.name}: {kind} {name} has no comment")

    def test_names_follow_the_conventions(self):
        for file in self.files:
            if file.package.startswith("apium."):
                folder = os.path.dirname(file.name)
                if file.package.replace(".", "/") != folder:
                    self.findings.append(f"{file.name}: package {file.package} does not match its folder")
            for kind, name, _, descriptor in self.walk(file):
                last = name.split(".")[-1]
                if kind == "service" and not last.endswith("Service"):
                    self.findings.append(f"{file.name}: service {name} does not end in Service")
                if kind == "field" and not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", last):
                    self.findings.append(f"{file.name}: field {name} is not lower_snake_case")
                if kind == "enum":
                    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last).upper() + "_"
                    if descriptor.value[0].name != prefix + "UNSPECIFIED" and file.package.startswith("apium."):
                        self.findings.append(f"{file.name}: zero of {name} is not {prefix}UNSPECIFIED")
                    for value in descriptor.value:
                        if not value.name.startswith(prefix) and file.package.startswith("apium."):
                            self.findings.append(f"{file.name}: {value.name} does not begin with {prefix}")

    def test_each_method_has_messages_of_its_own(self):
        for file in self.files:
            for kind, name, _, method in self.walk(file):
                if kind != "method":
                    continue
                for message, suffix in ((method.input_type, "Request"), (method.output_type, "Response")):
                    if message.split(".")[-1] != method.name + suffix:
                        self.findings.append(f"{file.name}: {name} has {message}, not {method.name}{suffix}")


if __name__ == "__main__":
    unittest.main()
