"""Libraries that Debian's -dev packages install under /usr, one external repository for each."""

_LIBRARIES = [
    "absl",
    "benchmark",
    "cli11",
    "grpc",
    "gtest",
    "httplib",
    "jemalloc",
    "nlohmann_json",
    "prometheus_cpp",
    "protobuf",
    "rocksdb",
    "spdlog",
    "xxhash",
    "yaml_cpp",
    "zstd",
]

def _system_library_impl(repository_ctx):
    repository_ctx.symlink(repository_ctx.attr.build_file, "BUILD.bazel")

# Holds nothing but a BUILD file. Its targets carry link options; the compiler finds the headers on its default
# include path, so that nothing of /usr is copied, linked into the tree or tracked. A new version of a Debian package
# is therefore noticed by a clean build only, as it is with the compiler itself.
_system_library = repository_rule(
    implementation = _system_library_impl,
    attrs = {"build_file": attr.label(mandatory = True, allow_single_file = True)},
    local = True,
)

def system_libraries():
    """Declares @<name> for each library, described by //third_party:<name>.BUILD."""
    for name in _LIBRARIES:
        _system_library(
            name = name,
            build_file = "//third_party:%s.BUILD" % name,
        )
