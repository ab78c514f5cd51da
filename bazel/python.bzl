"""Python tests."""

def apium_py_test(name, main, srcs = [], data = [], args = [], **kwargs):
    """Runs `main` as a test with /usr/bin/python3, from the runfiles' root, which is also on sys.path.

    Bazel's own py_test starts with `#!/usr/bin/env python`, which Debian does not have.

    Args:
      name: the test.
      main: the .py file to run; it must exit non-zero when a test fails (unittest.main() does).
      srcs: .py files that it imports, by path from the repository's root.
      data: other files that it reads.
      args: arguments of main; $(location //x:y) works for what is in data.
      **kwargs: as for sh_test (size, timeout, tags, env).
    """
    native.sh_test(
        name = name,
        srcs = ["//bazel:python_test.sh"],
        args = ["$(location %s)" % main] + args,
        data = [main] + srcs + data,
        **kwargs
    )
