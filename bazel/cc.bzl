"""Our cc_binary."""

def apium_cc_binary(name, **kwargs):
    """A cc_binary that allocates with jemalloc, except under a sanitizer, which brings its own allocator."""
    native.cc_binary(
        name = name,
        malloc = "//bazel:malloc",
        **kwargs
    )
