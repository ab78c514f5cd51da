"""The project's files, and their code without comments and string literals."""

import os
import pathlib
import re

# Read through the runfiles' link to WORKSPACE: the tree that the test was built from.
ROOT = pathlib.Path(os.path.realpath("WORKSPACE")).parent

_NOT_OURS = {".git", "data", "node_modules", "__pycache__"}

_COMMENT_OR_STRING = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""",
    re.DOTALL,
)


def files(*suffixes, under="."):
    """Paths relative to the root, sorted, of the files below `under` whose names end in one of `suffixes`."""
    found = []
    for folder, folders, names in os.walk(ROOT / under):
        folders[:] = [name for name in folders if name not in _NOT_OURS and not name.startswith("bazel-")]
        for name in names:
            if name.endswith(suffixes):
                found.append(str((pathlib.Path(folder) / name).relative_to(ROOT)))
    return sorted(found)


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def code(path):
    """A C++ file's text with comments and literals blanked out, except the names of included files; lines keep their
    numbers."""

    def blank(match):
        line_start = match.string.rfind("\n", 0, match.start()) + 1
        if match.string[line_start : match.start()].lstrip().startswith("#include"):
            return match.group(0)
        if match.group(0).startswith("'") and match.string[match.start() - 1 : match.start()].isalnum():
            return match.group(0)  # a digit separator, as in 1'000'000
        return re.sub(r"[^\n]", " ", match.group(0))

    return _COMMENT_OR_STRING.sub(blank, text(path))


def matches(path, content, pattern):
    """'path:line: the line' for each line of `content` that `pattern` is found in."""
    expression = re.compile(pattern)
    return [
        f"{path}:{number}: {line.strip()}"
        for number, line in enumerate(content.splitlines(), start=1)
        if expression.search(line)
    ]
