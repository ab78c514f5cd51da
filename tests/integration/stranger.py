"""A gRPC client that knows nothing of Apium: what a server speaks is learned from its reflection service.

    server = Stranger("127.0.0.1:7450")
    tasks = server.service("apium.v1.TaskService")
    answer = tasks.SubmitTask(spec={"type": "apium.echo", "payload": {"data": b"hello"}})

Needs Debian's python3-grpcio and python3-protobuf alone. The few messages that every gRPC server has in common
(reflection, health, google.rpc.Status) are declared here, as their .proto files are not in those packages.
"""

import collections
import queue

import grpc
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message_factory

# No call of a test takes longer than that, however slow the machine is.
CALL_SECONDS = 90

_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {"string": _FIELD.TYPE_STRING, "bytes": _FIELD.TYPE_BYTES, "int32": _FIELD.TYPE_INT32}

# file, package, imports, {message: [(number, label, type, name)]}; a type with a dot is a message.
_WELL_KNOWN = [
    (
        "stranger/reflection.proto",
        "grpc.reflection.v1alpha",
        [],
        {
            "ServerReflectionRequest": [
                (1, "", "string", "host"),
                (3, "oneof", "string", "file_by_filename"),
                (4, "oneof", "string", "file_containing_symbol"),
                (7, "oneof", "string", "list_services"),
            ],
            "FileDescriptorResponse": [(1, "repeated", "bytes", "file_descriptor_proto")],
            "ServiceResponse": [(1, "", "string", "name")],
            "ListServiceResponse": [(1, "repeated", ".grpc.reflection.v1alpha.ServiceResponse", "service")],
            "ErrorResponse": [(1, "", "int32", "error_code"), (2, "", "string", "error_message")],
            "ServerReflectionResponse": [
                (4, "oneof", ".grpc.reflection.v1alpha.FileDescriptorResponse", "file_descriptor_response"),
                (6, "oneof", ".grpc.reflection.v1alpha.ListServiceResponse", "list_services_response"),
                (7, "oneof", ".grpc.reflection.v1alpha.ErrorResponse", "error_response"),
            ],
        },
    ),
    (
        "stranger/health.proto",
        "grpc.health.v1",
        [],
        {
            "HealthCheckRequest": [(1, "", "string", "service")],
            # An enum on the wire is an integer: 1 is SERVING, 2 NOT_SERVING.
            "HealthCheckResponse": [(1, "", "int32", "status")],
        },
    ),
    (
        "stranger/rpc.proto",
        "google.rpc",
        ["google/protobuf/any.proto", "google/protobuf/duration.proto"],
        {
            "Status": [
                (1, "", "int32", "code"),
                (2, "", "string", "message"),
                (3, "repeated", ".google.protobuf.Any", "details"),
            ],
            "MetadataEntry": [(1, "", "string", "key"), (2, "", "string", "value")],
            # A map is a repeated message of key and value.
            "ErrorInfo": [
                (1, "", "string", "reason"),
                (2, "", "string", "domain"),
                (3, "repeated", ".google.rpc.MetadataEntry", "metadata"),
            ],
            "FieldViolation": [(1, "", "string", "field"), (2, "", "string", "description")],
            "BadRequest": [(1, "repeated", ".google.rpc.FieldViolation", "field_violations")],
            "RetryInfo": [(1, "", ".google.protobuf.Duration", "retry_delay")],
        },
    ),
]


def _declare(pool, name, package, imports, messages):
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=imports)
    for message_name, fields in messages.items():
        message = file.message_type.add(name=message_name)
        for number, label, type_name, field_name in fields:
            field = message.field.add(name=field_name, number=number)
            field.label = _FIELD.LABEL_REPEATED if label == "repeated" else _FIELD.LABEL_OPTIONAL
            if label == "oneof":
                if not message.oneof_decl:
                    message.oneof_decl.add(name="message")
                field.oneof_index = 0
            if "." in type_name:
                field.type = _FIELD.TYPE_MESSAGE
                field.type_name = type_name
            else:
                field.type = _TYPES[type_name]
    pool.Add(file)


def _well_known_messages():
    pool = descriptor_pool.DescriptorPool()
    for module in (any_pb2, duration_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    for declaration in _WELL_KNOWN:
        _declare(pool, *declaration)
    factory = message_factory.MessageFactory(pool)
    classes = {}
    for _, package, _, messages in _WELL_KNOWN:
        for name in messages:
            classes[name] = factory.GetPrototype(pool.FindMessageTypeByName(f"{package}.{name}"))
    return classes


_MESSAGES = _well_known_messages()
_HEALTH = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}

# What an error says, in the words of google.rpc: `code` is its name, `fields` is [(field, description)].
Error = collections.namedtuple("Error", "code message reason domain metadata fields retry_seconds")


def error_of(call):
    """The Error of a grpc.RpcError or of a stream's call that has ended."""
    info, metadata, fields, retry_seconds = _MESSAGES["ErrorInfo"](), {}, [], None
    for key, value in call.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        status = _MESSAGES["Status"].FromString(value)
        for detail in status.details:
            kind = detail.type_url.rpartition("/")[2]
            if kind == "google.rpc.ErrorInfo":
                info.ParseFromString(detail.value)
                metadata = {entry.key: entry.value for entry in info.metadata}
            elif kind == "google.rpc.BadRequest":
                bad = _MESSAGES["BadRequest"].FromString(detail.value)
                fields = [(violation.field, violation.description) for violation in bad.field_violations]
            elif kind == "google.rpc.RetryInfo":
                delay = _MESSAGES["RetryInfo"].FromString(detail.value).retry_delay
                retry_seconds = delay.seconds + delay.nanos * 1e-9
    return Error(call.code().name, call.details(), info.reason, info.domain, metadata, fields, retry_seconds)


class Stream:
    """A bidirectional stream. `send` never waits; `receive` waits for the next message."""

    def __init__(self, method, request_class):
        self._request_class = request_class
        self._requests = queue.SimpleQueue()
        self._call = method(iter(self._requests.get, None), timeout=CALL_SECONDS)

    def send(self, **fields):
        self._requests.put(self._request_class(**fields))

    def receive(self):
        """The next message; grpc.RpcError when the server ended the stream with an error, StopIteration without."""
        return next(self._call)

    def finish(self):
        """Says that nothing more will be sent."""
        self._requests.put(None)

    def end(self):
        """Waits for the end, and returns what the stream ended with as an Error (code "OK" when in order)."""
        try:
            for _ in self._call:
                pass
        except grpc.RpcError:
            pass
        self.finish()
        return error_of(self._call)

    def cancel(self):
        self._call.cancel()
        self.finish()


class _Service:
    def __init__(self, stranger, descriptor):
        self._stranger = stranger
        self._methods = {method.name: method for method in descriptor.methods}
        self._proto = descriptor_pb2.ServiceDescriptorProto()
        descriptor.CopyToProto(self._proto)
        self._path = f"/{descriptor.full_name}/"

    def __getattr__(self, name):
        """unary: a function of the request's fields; streams out: the same, returns an iterator; bidi: () -> Stream."""
        method = self._methods[name]
        streams = next(proto for proto in self._proto.method if proto.name == name)
        request_class = self._stranger.message_class(method.input_type)
        response_class = self._stranger.message_class(method.output_type)
        codec = dict(
            request_serializer=request_class.SerializeToString, response_deserializer=response_class.FromString
        )
        channel = self._stranger.channel
        if streams.client_streaming:
            return lambda: Stream(channel.stream_stream(self._path + name, **codec), request_class)
        make = channel.unary_stream if streams.server_streaming else channel.unary_unary
        rpc = make(self._path + name, **codec)
        return lambda **fields: rpc(request_class(**fields), timeout=CALL_SECONDS)


class Stranger:
    """Talks to one server."""

    def __init__(self, address):
        unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        # Its own connection for each object.
        self.channel = grpc.insecure_channel(address, options=unlimited + [("grpc.use_local_subchannel_pool", 1)])
        self._pool = descriptor_pool.DescriptorPool()
        self._factory = message_factory.MessageFactory(self._pool)
        self._files = set()

    def close(self):
        self.channel.close()

    def _reflect(self, **request):
        rpc = self.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            request_serializer=_MESSAGES["ServerReflectionRequest"].SerializeToString,
            response_deserializer=_MESSAGES["ServerReflectionResponse"].FromString,
        )
        calls = rpc(iter([_MESSAGES["ServerReflectionRequest"](**request)]), timeout=CALL_SECONDS)
        response = next(calls)
        if response.WhichOneof("message") == "error_response":
            raise LookupError(f"{request}: {response.error_response.error_message}")
        return response

    def services(self):
        """Full names of the services that the server's reflection lists."""
        return [service.name for service in self._reflect(list_services="*").list_services_response.service]

    def _learn(self, serialized_files):
        for serialized in serialized_files:
            file = descriptor_pb2.FileDescriptorProto.FromString(serialized)
            if file.name in self._files:
                continue
            self._files.add(file.name)
            for dependency in file.dependency:
                if dependency not in self._files:
                    answer = self._reflect(file_by_filename=dependency)
                    self._learn(answer.file_descriptor_response.file_descriptor_proto)
            self._pool.Add(file)

    def service(self, full_name):
        """A stub of the service."""
        answer = self._reflect(file_containing_symbol=full_name)
        self._learn(answer.file_descriptor_response.file_descriptor_proto)
        return _Service(self, self._pool.FindServiceByName(full_name))

    def message_class(self, descriptor):
        return self._factory.GetPrototype(descriptor)

    def health(self, service=""):
        """What grpc.health.v1 says of the service: "SERVING", "NOT_SERVING"; grpc.RpcError for one it does not know."""
        check = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=_MESSAGES["HealthCheckRequest"].SerializeToString,
            response_deserializer=_MESSAGES["HealthCheckResponse"].FromString,
        )
        answer = check(_MESSAGES["HealthCheckRequest"](service=service), timeout=CALL_SECONDS)
        return _HEALTH[answer.status]

    def watch_health(self, service=""):
        """The same, again after each change: an iterator with `cancel`."""
        watch = self.channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=_MESSAGES["HealthCheckRequest"].SerializeToString,
            response_deserializer=lambda bytes: _HEALTH[_MESSAGES["HealthCheckResponse"].FromString(bytes).status],
        )
        return watch(_MESSAGES["HealthCheckRequest"](service=service), timeout=CALL_SECONDS)
