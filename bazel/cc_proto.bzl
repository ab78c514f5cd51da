"""C++ and gRPC code from .proto files, with the system's protoc and grpc_cpp_plugin.

    load("//bazel:cc_proto.bzl", "apium_cc_proto_library")

    apium_cc_proto_library(
        name = "task_cc_proto",
        srcs = ["apium/v1/task.proto"],
        grpc = True,
        deps = [":common_cc_proto"],
    )

makes `:task_cc_proto`, a cc_library, and `:task_cc_proto_descriptor`, a FileDescriptorSet with all imports and
comments in the file task_cc_proto_descriptor.bin. Imports are relative to the repository's protos/ folder, in .proto files (`import "apium/v1/task.proto"`)
and in C++ (`#include "apium/v1/task.pb.h"`, `#include "apium/v1/task.grpc.pb.h"`).
"""

_ROOT = "protos"

ApiumProtoInfo = provider(
    doc = "What importers of a .proto file need.",
    fields = {"transitive_sources": "depset of .proto files: these and all that they import"},
)

def _import_path(source):
    if not source.short_path.startswith(_ROOT + "/"):
        fail("%s: .proto files live under %s/" % (source.short_path, _ROOT))
    return source.short_path[len(_ROOT) + 1:]

def _protoc(ctx, outputs, transitive_sources, flags, mnemonic):
    arguments = ctx.actions.args()
    arguments.add("--proto_path=" + _ROOT)
    arguments.add_all(flags)
    arguments.add_all([_import_path(source) for source in ctx.files.srcs])
    ctx.actions.run(
        executable = "/usr/bin/protoc",
        arguments = [arguments],
        inputs = transitive_sources,
        outputs = outputs,
        mnemonic = mnemonic,
        progress_message = "%s %s" % (mnemonic, ctx.label),
    )

def _cc_proto_sources_impl(ctx):
    transitive_sources = depset(
        ctx.files.srcs,
        transitive = [dep[ApiumProtoInfo].transitive_sources for dep in ctx.attr.deps],
    )

    out_dir = ctx.bin_dir.path + "/" + _ROOT
    flags = ["--cpp_out=" + out_dir]
    extensions = [".pb.h", ".pb.cc"]
    if ctx.attr.grpc:
        flags += [
            "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin",
            "--grpc_out=" + out_dir,
        ]
        extensions += [".grpc.pb.h", ".grpc.pb.cc"]

    headers = []
    sources = []
    for source in ctx.files.srcs:
        package_relative = source.short_path[len(ctx.label.package) + 1:]
        stem = package_relative[:-len(".proto")]
        for extension in extensions:
            output = ctx.actions.declare_file(stem + extension)
            (headers if extension.endswith(".h") else sources).append(output)
    _protoc(ctx, headers + sources, transitive_sources, flags, "ProtocCpp")

    descriptor = ctx.actions.declare_file(ctx.attr.descriptor_name)
    _protoc(
        ctx,
        [descriptor],
        transitive_sources,
        ["--include_imports", "--include_source_info", "--descriptor_set_out=" + descriptor.path],
        "ProtocDescriptor",
    )

    return [
        DefaultInfo(files = depset(headers + sources)),
        OutputGroupInfo(
            headers = depset(headers),
            sources = depset(sources),
            descriptor = depset([descriptor]),
        ),
        ApiumProtoInfo(transitive_sources = transitive_sources),
        # As system headers: generated code is not ours to warn about where it is included.
        CcInfo(compilation_context = cc_common.create_compilation_context(
            headers = depset(headers),
            system_includes = depset([out_dir]),
        )),
    ]

_cc_proto_sources = rule(
    implementation = _cc_proto_sources_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = [".proto"], mandatory = True),
        "deps": attr.label_list(providers = [ApiumProtoInfo]),
        "grpc": attr.bool(default = False),
        "descriptor_name": attr.string(mandatory = True),
    },
)

def _sources_label(label):
    # The sources of ":x" and of "//package:x" are ":x_sources" and "//package:x_sources".
    if ":" not in label:
        fail("%s: write the dependency with its colon" % label)
    return label + "_sources"

def apium_cc_proto_library(name, srcs, deps = [], grpc = False, visibility = None, testonly = None):
    """Declares a cc_library of the generated code, and the descriptor set `<name>_descriptor`.

    Args:
      name: the cc_library.
      srcs: .proto files under the repository's protos/ folder.
      deps: other apium_cc_proto_library targets, for the files that `srcs` import. The well-known types are there.
      grpc: also generate service stubs. Without it the code depends on Protobuf alone.
      visibility: as usual.
      testonly: as usual.
    """
    sources = name + "_sources"
    _cc_proto_sources(
        name = sources,
        srcs = srcs,
        deps = [_sources_label(dep) for dep in deps],
        grpc = grpc,
        descriptor_name = name + "_descriptor.bin",
        visibility = visibility,
        testonly = testonly,
    )
    for group in ["headers", "sources", "descriptor"]:
        native.filegroup(
            name = name + "_descriptor" if group == "descriptor" else "%s_%s" % (sources, group),
            srcs = [sources],
            output_group = group,
            visibility = visibility if group == "descriptor" else ["//visibility:private"],
            testonly = testonly,
        )

    native.cc_library(
        name = name,
        srcs = [":%s_sources" % sources],
        hdrs = [":%s_headers" % sources],
        copts = ["-w"],
        linkstatic = True,
        deps = deps + [":" + sources, "@protobuf"] + (["@grpc//:grpc++"] if grpc else []),
        visibility = visibility,
        testonly = testonly,
    )
