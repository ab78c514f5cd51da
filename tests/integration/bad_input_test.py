"""Bad input to running servers: one clear error that says what was wrong and what would be right, and nothing else."""

import unittest

import grpc

from tests.integration.platform_case import PlatformCase, state_name
from tests.integration.servers import Server
from tests.integration.stranger import CALL_SECONDS

KEPT_PAYLOAD = b"submitted before all the nonsense"


class BadInputTest(PlatformCase):
    WORKER = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kept = cls.tasks.SubmitTask(spec={"type": "nobody.runs.it", "payload": {"data": KEPT_PAYLOAD}}).task_id

    @classmethod
    def tearDownClass(cls):
        """What was stored is also found by the next start."""
        before = cls.queues.GetQueue(name="default").queue.counts
        cls.at_broker.close()
        cls.broker.kill()
        cls.broker = Server("broker", data=cls.data["broker"], results=cls.results.address)
        cls.connect()
        task = cls.tasks.GetTask(task_id=cls.kept).task
        assert task.spec.payload.data == KEPT_PAYLOAD, task
        after = cls.queues.GetQueue(name="default").queue.counts
        assert (after.ready, after.scheduled) == (before.ready, before.scheduled), after
        super().tearDownClass()

    def tearDown(self):
        """Whatever the test did: both services still answer, and what was stored is as it was."""
        task = self.tasks.GetTask(task_id=self.kept).task
        self.assertEqual((state_name(task), task.spec.payload.data), ("QUEUED", KEPT_PAYLOAD))
        task_id = self.submit(type="nobody.runs.it")
        self.tasks.CancelTask(task_id=task_id)
        self.assertEqual(state_name(self.outcomes.WaitResult(task_id=task_id).outcome), "CANCELLED")
        self.assertIsNone(self.broker.process.poll())
        self.assertIsNone(self.results.process.poll())

    def assert_submit_refused(self, spec, code, reason, *words):
        """The same error from SubmitTask, SubmitTasks and StreamTasks; the latter two accept its neighbours."""
        before = self.queues.GetQueue(name="default").queue.counts.ready
        self.assert_refused(lambda: self.tasks.SubmitTask(spec=spec), code, reason, *words)

        good = {"type": "nobody.runs.it"}
        results = self.tasks.SubmitTasks(specs=[good, spec, good]).results
        stream = self.tasks.StreamTasks()
        stream.send(open={})
        stream.receive()
        stream.send(batch={"specs": [good, spec, good]})
        submitted = []
        while len(submitted) < 3:
            submitted += stream.receive().results.submitted
        stream.finish()
        self.assertEqual(stream.end().code, "OK")
        for answers in (results, submitted):
            self.assertEqual([answer.error.reason for answer in answers], ["", reason, ""])
            self.assertEqual(answers[1].error.code, getattr(grpc.StatusCode, code).value[0])
            for word in words:
                self.assertIn(word, answers[1].error.message)
            for answer in (answers[0], answers[2]):
                self.tasks.CancelTask(task_id=answer.task_id)
        self.assertEqual(self.queues.GetQueue(name="default").queue.counts.ready, before)

    def test_unknown_queue(self):
        self.assert_submit_refused(
            {"type": "mail.send", "queue": "mails"}, "NOT_FOUND", "QUEUE_NOT_FOUND", "mails", "create"
        )
        for call in (
            self.queues.GetQueue,
            self.queues.DeleteQueue,
            self.queues.PauseQueue,
            self.queues.ResumeQueue,
            self.queues.PurgeQueue,
        ):
            self.assert_refused(lambda call=call: call(name="mails"), "NOT_FOUND", "QUEUE_NOT_FOUND", "mails")
        worker = self.workers.Work()
        worker.send(
            hello={"worker_id": "w", "slots": 1, "task_types": [{"type": "x"}], "queues": [{"queue": "mails"}]}
        )
        self.assert_says(worker.end(), "NOT_FOUND", "QUEUE_NOT_FOUND", "mails")

    def test_malformed_queue(self):
        for name in ("two words", "-mails", "m" * 256, "m\u00e4ils"):
            self.assert_submit_refused(
                {"type": "mail.send", "queue": name}, "INVALID_ARGUMENT", "INVALID_FIELD", "spec.queue", "1 to 255"
            )
        self.assert_refused(
            lambda: self.queues.CreateQueue(queue={"name": "two words"}),
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
            "queue.name",
            "two words",
        )
        self.assert_refused(
            lambda: self.queues.UpdateQueue(queue={"name": "default"}, update_mask={"paths": ["name"]}),
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
            "update_mask",
            "description",
        )
        self.assert_refused(
            lambda: self.queues.CreateQueue(queue={"name": "default"}), "ALREADY_EXISTS", "QUEUE_EXISTS", "default"
        )

    def test_malformed_type(self):
        for name in ("", "two words", ".hidden", "t" * 256):
            self.assert_submit_refused(
                {"type": name}, "INVALID_ARGUMENT", "INVALID_FIELD", "spec.type", "A-Z a-z 0-9"
            )

    def test_a_type_that_no_worker_knows_waits_and_says_so(self):
        worker = self.workers.Work()
        worker.send(hello={"worker_id": "w", "slots": 1, "task_types": [{"type": "another.type"}]})
        self.assertTrue(worker.receive().welcome.session_id)
        self.assertIn("nobody.runs.it", self.tasks.GetTask(task_id=self.kept).task.waiting_reason)
        worker.finish()
        self.assertEqual(worker.end().code, "OK")

    def test_unknown_namespace(self):
        calls = {
            "SubmitTask": lambda: self.tasks.SubmitTask(namespace="tenant-7", spec={"type": "x"}),
            "GetTask": lambda: self.tasks.GetTask(namespace="tenant-7", task_id="x"),
            "WaitTask": lambda: self.tasks.WaitTask(namespace="tenant-7", task_id="x"),
            "WatchTask": lambda: list(self.tasks.WatchTask(namespace="tenant-7", task_id="x")),
            "ListTasks": lambda: self.tasks.ListTasks(namespace="tenant-7"),
            "CancelTask": lambda: self.tasks.CancelTask(namespace="tenant-7", task_id="x"),
            "ListQueues": lambda: self.queues.ListQueues(namespace="tenant-7"),
            "CreateQueue": lambda: self.queues.CreateQueue(namespace="tenant-7", queue={"name": "x"}),
            "ListWorkers": lambda: self.workers.ListWorkers(namespace="tenant-7"),
            "GetResult": lambda: self.outcomes.GetResult(namespace="tenant-7", task_id="x"),
            "WaitResult": lambda: self.outcomes.WaitResult(namespace="tenant-7", task_id="x"),
            "ListResults": lambda: self.outcomes.ListResults(namespace="tenant-7"),
            "WatchResults": lambda: list(self.outcomes.WatchResults(namespace="tenant-7")),
            "ForgetResult": lambda: self.outcomes.ForgetResult(namespace="tenant-7", task_id="x"),
        }
        for name, call in calls.items():
            with self.subTest(name):
                self.assert_refused(call, "NOT_FOUND", "NAMESPACE_NOT_FOUND", "tenant-7")
        worker = self.workers.Work()
        worker.send(hello={"namespace": "tenant-7", "worker_id": "w", "slots": 1, "task_types": [{"type": "x"}]})
        self.assert_says(worker.end(), "NOT_FOUND", "NAMESPACE_NOT_FOUND", "tenant-7")
        for namespace in ("Tenant", "a_b", "-a", "n" * 64):
            self.assert_refused(
                lambda namespace=namespace: self.tasks.ListTasks(namespace=namespace),
                "INVALID_ARGUMENT",
                "INVALID_FIELD",
                "namespace",
                "a-z 0-9",
            )

    def test_malformed_task_id(self):
        for task_id in ("a b", "a/b", "i" * 129, "\u00fc"):
            self.assert_submit_refused(
                {"type": "x", "task_id": task_id}, "INVALID_ARGUMENT", "INVALID_FIELD", "spec.task_id", "1 to 128"
            )
        for task_id in ("", "a b", "i" * 129):
            for call in (self.tasks.GetTask, self.tasks.WaitTask, self.tasks.CancelTask, self.outcomes.GetResult):
                self.assert_refused(
                    lambda call=call, task_id=task_id: call(task_id=task_id),
                    "INVALID_ARGUMENT",
                    "INVALID_FIELD",
                    "task_id",
                    "1 to 128",
                )

    def test_an_id_that_another_task_has(self):
        self.submit(type="nobody.runs.it", task_id="twice", payload={"data": b"first"})
        self.assert_refused(
            lambda: self.submit(type="nobody.runs.it", task_id="twice", payload={"data": b"second"}),
            "ALREADY_EXISTS",
            "TASK_ID_REUSED",
            "twice",
        )
        self.assertEqual(self.tasks.GetTask(task_id="twice").task.spec.payload.data, b"first")

    def test_values_out_of_range(self):
        hour = {"seconds": 3600}
        for spec, *words in (
            ({"priority": 256}, "spec.priority", "255"),
            ({"delay": {"seconds": -1}}, "spec.delay", "[0, "),
            ({"delay": {"seconds": 400_000_000}}, "spec.delay", "[0, "),
            ({"delay": hour, "eta": hour}, "spec.delay", "eta"),
            ({"expire_after": hour, "expire_time": hour}, "spec.expire_after", "expire_time"),
            ({"eta": {"seconds": 1 << 60}}, "spec.eta"),
            ({"result_ttl": {"nanos": 1}}, "spec.result_ttl", "1s"),
            ({"retry_policy": {"multiplier": 0.5}}, "spec.retry_policy.multiplier", "[1, 100]"),
            ({"retry_policy": {"jitter": float("nan")}}, "spec.retry_policy.jitter", "[0, 1]"),
            ({"retry_policy": {"max_attempts": 1_000_001}}, "spec.retry_policy.max_attempts", "1000000"),
            ({"headers": {"Upper": "x"}}, "spec.headers", "Upper"),
            ({"headers": {"h": "x" * 16384}}, "spec.headers", "16384"),
            ({"payload": {"content_type": "x" * 256}}, "spec.payload.content_type", "255"),
        ):
            with self.subTest(words[0], spec=str(spec)[:60]):
                self.assert_submit_refused({"type": "x", **spec}, "INVALID_ARGUMENT", "INVALID_FIELD", *words)

    def test_what_is_not_carried_out_is_refused_and_so_are_weights_out_of_range(self):
        for field, value in (
            ("hard_time_limit", {"seconds": 1}),
            ("parent_task_ids", ["parent"]),
        ):
            with self.subTest(field):
                self.assert_submit_refused(
                    {"type": "x", field: value}, "UNIMPLEMENTED", "NOT_IMPLEMENTED", f"spec.{field}"
                )
        worker = self.workers.Work()
        worker.send(
            hello={
                "worker_id": "w",
                "slots": 1,
                "task_types": [{"type": "x"}],
                "queues": [{"queue": "default", "weight": 1001}],
            }
        )
        self.assert_says(worker.end(), "INVALID_ARGUMENT", "INVALID_FIELD", "hello.queues.weight")

    def test_oversized_payload(self):
        self.assert_submit_refused(
            {"type": "x", "payload": {"data": bytes((1 << 20) + 1)}},
            "INVALID_ARGUMENT",
            "PAYLOAD_TOO_LARGE",
            "spec.payload.data",
            "1048577",
            "1048576",
        )
        # The largest that fits does.
        task_id = self.submit(type="nobody.runs.it", payload={"data": bytes(1 << 20)})
        self.tasks.CancelTask(task_id=task_id)

    def test_a_message_beyond_the_limit_of_grpc(self):
        limit = self.at_broker.service("apium.v1.ServerService").GetServerInfo().server_info.limits.max_message_bytes
        huge = {"type": "x", "payload": {"data": bytes(limit)}}
        self.assert_refused(
            lambda: self.tasks.SubmitTask(spec=huge), "RESOURCE_EXHAUSTED", "", "larger than max", str(limit)
        )
        stream = self.tasks.StreamTasks()
        stream.send(open={})
        stream.receive()
        stream.send(batch={"specs": [huge]})
        self.assert_says(stream.end(), "RESOURCE_EXHAUSTED", "", "larger than max", str(limit))

    def test_batches_of_the_wrong_size(self):
        spec = {"type": "x"}
        for count in (0, 1001):
            self.assert_refused(
                lambda count=count: self.tasks.SubmitTasks(specs=[spec] * count),
                "INVALID_ARGUMENT",
                "INVALID_FIELD",
                f"has {count} tasks",
                "1 to 1000",
            )
            stream = self.tasks.StreamTasks()
            stream.send(open={})
            stream.receive()
            stream.send(batch={"specs": [spec] * count})
            self.assert_says(stream.end(), "INVALID_ARGUMENT", "INVALID_FIELD", f"has {count} tasks", "1 to 1000")

    def test_tokens_and_filters_that_no_server_gave_out(self):
        for call in (self.tasks.ListTasks, self.outcomes.ListResults):
            self.assert_refused(
                lambda call=call: call(page_token="made up"), "INVALID_ARGUMENT", "INVALID_FIELD", "page_token"
            )
        self.assert_refused(
            lambda: self.tasks.ListTasks(states=[77]), "INVALID_ARGUMENT", "INVALID_FIELD", "states", "77"
        )
        self.assert_refused(
            lambda: list(self.outcomes.WatchResults(after_cursor="made up")),
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
            "after_cursor",
        )
        self.assert_refused(
            lambda: self.tasks.WaitTask(task_id=self.kept, timeout={"seconds": -1}),
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
            "timeout",
        )

    def test_unknown_tasks_and_results(self):
        for call in (self.tasks.GetTask, self.tasks.WaitTask, self.tasks.CancelTask):
            self.assert_refused(
                lambda call=call: call(task_id="never-submitted"), "NOT_FOUND", "TASK_NOT_FOUND", "never-submitted"
            )
        for call in (self.outcomes.GetResult, self.outcomes.ForgetResult):
            self.assert_refused(
                lambda call=call: call(task_id="never-submitted"), "NOT_FOUND", "RESULT_NOT_FOUND", "never-submitted"
            )

    def test_a_wait_that_ends_in_time_is_an_error_with_a_reason(self):
        self.assert_refused(
            lambda: self.tasks.WaitTask(task_id=self.kept, timeout={"nanos": 1_000_000}),
            "DEADLINE_EXCEEDED",
            "WAIT_TIMEOUT",
            "timeout",
        )
        self.assert_refused(
            lambda: self.outcomes.WaitResult(task_id=self.kept, timeout={"nanos": 1_000_000}),
            "DEADLINE_EXCEEDED",
            "WAIT_TIMEOUT",
            "timeout",
        )

    def test_methods_that_do_not_exist(self):
        for channel in (self.at_broker.channel, self.at_results.channel):
            with self.assertRaises(grpc.RpcError) as raised:
                channel.unary_unary("/apium.v1.TaskService/NoSuchMethod")(b"", timeout=CALL_SECONDS)
            self.assertEqual(raised.exception.code(), grpc.StatusCode.UNIMPLEMENTED)


if __name__ == "__main__":
    unittest.main()
