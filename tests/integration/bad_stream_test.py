"""Garbage and broken protocol on the streams, and on the ports themselves, of both services."""

import queue
import socket
import unittest

import grpc

from tests.integration.platform_case import PlatformCase, state_name
from tests.integration.stranger import CALL_SECONDS, error_of

# Not a message of any .proto: field number 0, and then some.
GARBAGE = b"\x07\xff\xff\xff\xffgarbage"

HELLO = {"worker_id": "bad-worker", "slots": 1, "task_types": [{"type": "bad.stream"}]}


class BadStreamTest(PlatformCase):
    WORKER = False

    def tearDown(self):
        """Whatever the test did: a task still goes through both services."""
        task_id = self.submit(type="nobody.runs.it")
        self.tasks.CancelTask(task_id=task_id)
        self.assertEqual(state_name(self.outcomes.WaitResult(task_id=task_id).outcome), "CANCELLED")
        self.assertIsNone(self.broker.process.poll())
        self.assertIsNone(self.results.process.poll())

    def send_bytes(self, channel, method, *messages):
        """Sends the bytes as messages of a stream that stays open; returns what the server ends it with."""
        requests = queue.SimpleQueue()
        for message in messages:
            requests.put(message)
        call = channel.stream_stream(method)(iter(requests.get, None), timeout=CALL_SECONDS)
        try:
            for _ in call:
                pass
        except grpc.RpcError:
            pass
        requests.put(None)
        return error_of(call)

    def encoded(self, service, method, **fields):
        """The bytes of a request."""
        (descriptor,) = [m for m in service._methods.values() if m.name == method]
        return service._stranger.message_class(descriptor.input_type)(**fields).SerializeToString()

    def open_worker(self, **hello):
        worker = self.workers.Work()
        worker.send(hello={**HELLO, **hello})
        self.assertTrue(worker.receive().welcome.session_id)
        return worker

    def assert_worker_refused(self, *messages, code="INVALID_ARGUMENT", reason="INVALID_FIELD", words=()):
        """A stream with these messages is ended so."""
        worker = self.workers.Work()
        for message in messages:
            worker.send(**message)
        self.assert_says(worker.end(), code, reason, *words)

    def test_bytes_that_are_no_message(self):
        hello = self.encoded(self.workers, "Work", hello=HELLO)
        opening = self.encoded(self.tasks, "StreamTasks", open={})
        publish = self.encoded(self.outcomes, "PublishOutcomes", hello={"shard_id": "stranger"})
        for channel, method, first in (
            (self.at_broker.channel, "/apium.v1.WorkerService/Work", hello),
            (self.at_broker.channel, "/apium.v1.TaskService/StreamTasks", opening),
            (self.at_results.channel, "/apium.v1.ResultService/PublishOutcomes", publish),
        ):
            for messages in ([GARBAGE], [first, GARBAGE]):
                with self.subTest(method, behind_the_first=len(messages) == 2):
                    error = self.send_bytes(channel, method, *messages)
                    self.assert_says(error, "INVALID_ARGUMENT", "PROTOCOL_VIOLATION", "apium.v1.")

    def test_bytes_that_are_no_request(self):
        for channel, method in (
            (self.at_broker.channel, "/apium.v1.TaskService/SubmitTask"),
            (self.at_broker.channel, "/apium.v1.QueueService/GetQueue"),
            (self.at_results.channel, "/apium.v1.ResultService/GetResult"),
        ):
            with self.subTest(method), self.assertRaises(grpc.RpcError) as raised:
                channel.unary_unary(method)(GARBAGE, timeout=CALL_SECONDS)
            # gRPC's own answer: it never calls the service.
            self.assertIn(
                raised.exception.code(), (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL), method
            )

    def test_messages_without_content(self):
        for service, method, what in (
            (self.workers, "Work", "`hello`"),
            (self.tasks, "StreamTasks", "`open`"),
            (self.outcomes, "PublishOutcomes", "`hello`"),
        ):
            with self.subTest(method):
                stream = getattr(service, method)()
                stream.send()
                self.assert_says(stream.end(), "INVALID_ARGUMENT", "PROTOCOL_VIOLATION", what)

    def test_streams_that_begin_in_the_middle(self):
        for service, method, message, what in (
            (self.workers, "Work", {"report": {"credit": 1}}, "`hello`"),
            (self.tasks, "StreamTasks", {"batch": {"specs": [{"type": "x"}]}}, "`open`"),
            (self.outcomes, "PublishOutcomes", {"batch": {"position": 1}}, "`hello`"),
        ):
            with self.subTest(method):
                stream = getattr(service, method)()
                stream.send(**message)
                self.assert_says(stream.end(), "INVALID_ARGUMENT", "PROTOCOL_VIOLATION", "first message", what)

    def test_streams_that_begin_twice(self):
        for service, method, message, what in (
            (self.workers, "Work", {"hello": HELLO}, "hello"),
            (self.tasks, "StreamTasks", {"open": {}}, "batch"),
            (self.outcomes, "PublishOutcomes", {"hello": {"shard_id": "stranger"}}, "batch"),
        ):
            with self.subTest(method):
                stream = getattr(service, method)()
                stream.send(**message)
                stream.receive()
                stream.send(**message)
                self.assert_says(stream.end(), "INVALID_ARGUMENT", "PROTOCOL_VIOLATION", what)

    def test_bad_hellos(self):
        for change, *words in (
            ({"worker_id": ""}, "hello.worker_id", "1 to 255"),
            ({"worker_id": "w" * 256}, "hello.worker_id", "1 to 255"),
            ({"worker_id": "a\nb"}, "hello.worker_id", "control"),
            ({"task_types": []}, "hello.task_types", "1 to 10000"),
            ({"task_types": [{"type": "a b"}]}, "hello.task_types.type", "a b"),
            ({"queues": [{"queue": ""}]}, "hello.queues.queue", "1 to 255"),
            ({"slots": 0}, "hello.slots", "65536"),
            ({"slots": 65537}, "hello.slots", "65536"),
            ({"labels": {"": "x"}}, "hello.labels"),
            ({"held_leases": [{}]}, "hello.held_leases", "task_id"),
        ):
            with self.subTest(str(change)[:60]):
                self.assert_worker_refused({"hello": {**HELLO, **change}}, words=words)

    def test_a_session_that_nobody_knows_is_begun_anew(self):
        worker = self.workers.Work()
        lease = {"task_id": "stranger", "attempt": 1, "epoch": 1 << 60}
        worker.send(hello={**HELLO, "session_id": "made-up", "held_leases": [lease]})
        welcome = worker.receive().welcome
        self.assertFalse(welcome.resumed)
        self.assertEqual(list(welcome.lost_epochs), [1 << 60])
        worker.finish()
        worker.end()

    def test_a_second_stream_of_a_session_replaces_the_first(self):
        first = self.workers.Work()
        first.send(hello=HELLO)
        session_id = first.receive().welcome.session_id
        second = self.workers.Work()
        second.send(hello={**HELLO, "session_id": session_id})
        self.assertTrue(second.receive().welcome.resumed)
        self.assert_says(first.end(), "FAILED_PRECONDITION", "SESSION_REPLACED", "stream")
        second.finish()
        second.end()

    def test_wrong_credit(self):
        for credits in ([65537], [65536, 1], [(1 << 32) - 1], [40000, 40000]):
            with self.subTest(credits):
                worker = self.open_worker()
                for credit in credits:
                    worker.send(report={"credit": credit})
                error = worker.end()
                self.assertEqual(error.code, "INVALID_ARGUMENT", error)
                self.assertIn(error.reason, ("CREDIT_EXCEEDED", "INVALID_FIELD"))
                self.assertIn("credit", error.message)
                self.assertIn("65536", error.message)

    def test_an_outcome_for_a_task_that_one_does_not_hold(self):
        holder = self.open_worker(worker_id="holder")
        thief = self.open_worker(worker_id="thief")
        task_id = self.submit(type="bad.stream")
        holder.send(report={"credit": 1})
        (delivery,) = holder.receive().push.deliveries
        lease = delivery.lease
        stolen = [
            {"task_id": lease.task_id, "attempt": lease.attempt, "epoch": lease.epoch},
            {"task_id": lease.task_id, "attempt": lease.attempt, "epoch": lease.epoch + 1},
            {"task_id": lease.task_id, "attempt": lease.attempt + 1, "epoch": lease.epoch + 2},
            {"task_id": "never-submitted", "attempt": 1, "epoch": 1 << 60},
        ]
        thief.send(report={"outcomes": [{"lease": name, "result": {"data": b"stolen"}} for name in stolen]})
        refused = {}
        while len(refused) < len(stolen):
            push = thief.receive().push
            self.assertFalse(push.acknowledged_epochs)
            refused.update({report.epoch: report.error for report in push.refused})
        for name in stolen:
            error = refused[name["epoch"]]
            self.assertEqual((error.code, error.reason), (grpc.StatusCode.FAILED_PRECONDITION.value[0], "LEASE_LOST"))
            self.assertIn("lease", error.message)

        # The holder's is accepted: nothing has changed.
        holder.send(report={"outcomes": [{"lease": lease, "result": {"data": b"honest"}}]})
        self.assertEqual(self.tasks.WaitTask(task_id=task_id).task.outcome.result.data, b"honest")
        for worker in (holder, thief):
            worker.finish()
            worker.end()

    def test_reports_that_name_no_lease(self):
        for change, *words in (
            ({"task_id": ""}, "task_id", "1 to 128"),
            ({"attempt": 0}, "attempt"),
            ({"epoch": 0}, "epoch"),
        ):
            lease = {"task_id": "x", "attempt": 1, "epoch": 1, **change}
            for kind in ("started", "progress", "outcomes"):
                with self.subTest(kind, **change):
                    self.assert_worker_refused(
                        {"hello": HELLO},
                        {"report": {kind: [{"lease": lease}]}},
                        words=(f"report.{kind}.lease", *words),
                    )
        self.assert_worker_refused(
            {"hello": HELLO},
            {"report": {"outcomes": [{"lease": {"task_id": "x", "attempt": 1, "epoch": 1}}]}},
            words=("report.outcomes", "outcome"),
        )

    def test_more_tasks_than_the_window(self):
        stream = self.tasks.StreamTasks()
        stream.send(open={})
        window = stream.receive().opened.window
        # Tasks of the same lane; sent at once, faster than they can be synced, or answered if not.
        specs = [{"type": "bad.stream.window"}] * 1000
        for _ in range(2 * window // 1000):
            stream.send(batch={"specs": specs})
        stream.finish()
        error = stream.end()
        if error.code != "OK":
            self.assert_says(error, "RESOURCE_EXHAUSTED", "WINDOW_EXCEEDED", str(window))
        self.queues.PurgeQueue(name="default")

    def test_gaps_in_what_is_published(self):
        stream = self.outcomes.PublishOutcomes()
        stream.send(hello={"shard_id": "gap"})
        self.assertEqual(stream.receive().confirmed_position, 0)
        stream.send(batch={"position": 2, "outcomes": [{"namespace": "default", "task_id": "x", "state": 6}]})
        self.assert_says(stream.end(), "INVALID_ARGUMENT", "POSITION_GAP", "2", "1")
        stream = self.outcomes.PublishOutcomes()
        stream.send(hello={"shard_id": "gap"})
        stream.receive()
        stream.send(batch={"position": 1, "outcomes": [{"namespace": "default", "task_id": "a b", "state": 6}]})
        self.assert_says(stream.end(), "INVALID_ARGUMENT", "INVALID_FIELD", "task_id")
        stream = self.outcomes.PublishOutcomes()
        stream.send(hello={"shard_id": "a b"})
        self.assert_says(stream.end(), "INVALID_ARGUMENT", "INVALID_FIELD", "hello.shard_id")

    def test_noise_on_the_ports(self):
        http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        for server in (self.broker, self.results):
            for address in (server.address, server.http_address):
                for noise in (
                    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # the beginning of TLS
                    b"\x00" * 100_000,
                    http2 + b"\xff" * 1000,
                    http2,
                    b"",
                ):
                    host, port = address.split(":")
                    with socket.create_connection((host, int(port)), timeout=CALL_SECONDS) as connection:
                        try:
                            connection.sendall(noise)
                            connection.shutdown(socket.SHUT_WR)
                            while connection.recv(1 << 16):
                                pass
                        except OSError:
                            pass  # the server has hung up, as it may
            self.assertEqual(server.get("/livez")[0], 200)
            self.assertEqual(server.get("/nothing/is/here")[0], 404)


if __name__ == "__main__":
    unittest.main()
