"""A client in another language, which has nothing of Apium but the servers' addresses."""

import itertools
import json
import unittest

import grpc

from tests.integration.platform_case import PlatformCase, state_name


def receive_until(stream, done):
    """Receives until done(messages so far)."""
    messages = []
    while not done(messages):
        messages.append(stream.receive())
    return messages


class PythonClientTest(PlatformCase):
    def test_reflection_lists_the_services(self):
        self.assertLessEqual(
            {
                "apium.v1.TaskService",
                "apium.v1.WorkerService",
                "apium.v1.QueueService",
                "apium.v1.ServerService",
                "grpc.health.v1.Health",
            },
            set(self.at_broker.services()),
        )
        self.assertLessEqual(
            {"apium.v1.ResultService", "apium.v1.ServerService", "grpc.health.v1.Health"},
            set(self.at_results.services()),
        )

    def test_submits_waits_and_reads_the_result_at_both_services(self):
        arguments = json.dumps({"args": [1, "two"], "kwargs": {"three": 3}}).encode()
        payload = {"data": arguments, "content_type": "application/json"}
        task_id = self.submit(type="apium.echo", payload=payload, headers={"traceparent": "00-1-2-01"})
        task = self.tasks.WaitTask(task_id=task_id).task
        self.assertEqual(state_name(task), "SUCCEEDED")
        self.assertEqual(json.loads(task.outcome.result.data), {"args": [1, "two"], "kwargs": {"three": 3}})
        self.assertEqual(task.outcome.result.content_type, "application/json")

        outcome = self.outcomes.WaitResult(task_id=task_id).outcome
        self.assertEqual(outcome.result.data, arguments)
        self.assertEqual(self.outcomes.GetResult(task_id=task_id).outcome, outcome)
        # As text: each server's reflection made classes of its own.
        self.assertEqual(str(self.tasks.GetTask(task_id=task_id).task.outcome), str(outcome))

    def test_watches_a_task_to_its_end(self):
        task_id = self.submit(type="apium.echo", delay={"nanos": 50_000_000})
        states = [state_name(answer.task) for answer in self.tasks.WatchTask(task_id=task_id)]
        self.assertEqual(states[-1], "SUCCEEDED")
        order = ["SCHEDULED", "QUEUED", "LEASED", "STARTED", "SUCCEEDED"]
        self.assertEqual(states, sorted(states, key=order.index))

    def test_lists_live_and_finished_tasks_page_by_page(self):
        finished = [self.submit(type="apium.noop", queue="default") for _ in range(3)]
        for task_id in finished:
            self.tasks.WaitTask(task_id=task_id)
        live = [self.submit(type="apium.noop", delay={"seconds": 3600}) for _ in range(3)]
        listed, token = [], ""
        while True:
            page = self.tasks.ListTasks(type="apium.noop", page_size=2, page_token=token)
            self.assertLessEqual(len(page.tasks), 2)
            listed += [(task.spec.task_id, state_name(task)) for task in page.tasks]
            token = page.next_page_token
            if not token:
                break
        self.assertCountEqual(
            listed, [(task_id, "SCHEDULED") for task_id in live] + [(task_id, "SUCCEEDED") for task_id in finished]
        )

    def test_cancels_a_waiting_task(self):
        task_id = self.submit(type="apium.echo", delay={"seconds": 3600})
        task = self.tasks.CancelTask(task_id=task_id, reason="changed my mind").task
        self.assertEqual(state_name(task), "CANCELLED")
        self.assertIn("changed my mind", task.outcome.failure.message)
        self.assertEqual(state_name(self.outcomes.WaitResult(task_id=task_id).outcome), "CANCELLED")

    def test_an_error_is_decoded_from_its_details(self):
        error = self.assert_refused(
            lambda: self.submit(type="apium.echo", queue="no-such-queue"),
            "NOT_FOUND",
            "QUEUE_NOT_FOUND",
            "no-such-queue",
        )
        self.assertEqual(error.domain, "apium.dev")
        self.assertEqual(error.metadata["queue"], "no-such-queue")
        error = self.assert_refused(
            lambda: self.submit(type="apium.echo", priority=256), "INVALID_ARGUMENT", "INVALID_FIELD", "256", "255"
        )
        self.assertEqual([field for field, _ in error.fields], ["spec.priority"])

    def test_health_is_known_for_each_service(self):
        for name in ("", "liveness", "readiness", "apium.v1.TaskService", "apium.v1.WorkerService"):
            self.assertEqual(self.at_broker.health(name), "SERVING", name)
        for name in ("", "liveness", "readiness", "apium.v1.ResultService"):
            self.assertEqual(self.at_results.health(name), "SERVING", name)
        with self.assertRaises(grpc.RpcError) as raised:
            self.at_broker.health("apium.v1.NoSuchService")
        self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_servers_say_what_they_can_do(self):
        info = self.at_broker.service("apium.v1.ServerService").GetServerInfo().server_info
        self.assertEqual(info.service, "apium-broker")
        self.assertIn("task.priority", info.capabilities)
        self.assertEqual(list(info.capabilities), sorted(info.capabilities))
        self.assertEqual(list(info.namespaces), ["default"])
        self.assertEqual(info.limits.max_payload_bytes, 1 << 20)
        info = self.at_results.service("apium.v1.ServerService").GetServerInfo().server_info
        self.assertEqual(info.service, "apium-results")

    def test_streams_tasks_and_their_outcomes(self):
        stream = self.tasks.StreamTasks()
        stream.send(open={"report_outcomes": True})
        self.assertGreater(stream.receive().opened.window, 0)
        specs = [{"type": "apium.echo", "payload": {"data": b"%d" % i}} for i in range(5)]
        specs.insert(2, {"type": "apium.echo", "queue": "no-such-queue"})
        stream.send(batch={"specs": specs[:4]})
        stream.send(batch={"specs": specs[4:]})
        stream.finish()

        messages = receive_until(stream, lambda all: sum(len(m.results.outcomes) for m in all) == 5)
        answers = list(itertools.chain.from_iterable(m.results.submitted for m in messages))
        self.assertEqual([answer.sequence for answer in answers], [1, 2, 3, 4, 5, 6])
        self.assertEqual([answer.error.reason for answer in answers], ["", "", "QUEUE_NOT_FOUND", "", "", ""])
        results = {o.task_id: o.result.data for m in messages for o in m.results.outcomes}
        self.assertEqual(
            [results[answer.task_id] for answer in answers if answer.task_id], [b"0", b"1", b"2", b"3", b"4"]
        )
        self.assertEqual(stream.end().code, "OK")

    def test_watches_results_from_a_cursor_on(self):
        watch = self.outcomes.WatchResults(filter={"type": "apium.sleep"})
        cursor = next(watch).cursor
        task_ids = [
            self.submit(type="apium.sleep", payload={"data": b'{"args": [0]}', "content_type": "application/json"})
            for _ in range(3)
        ]
        seen = []
        while len(seen) < 3:
            seen += [outcome.task_id for outcome in next(watch).outcomes]
        self.assertCountEqual(seen, task_ids)
        watch.cancel()

        again, watch = [], self.outcomes.WatchResults(filter={"type": "apium.sleep"}, after_cursor=cursor)
        while len(again) < 3:
            again += [outcome.task_id for outcome in next(watch).outcomes]
        self.assertEqual(again, seen)
        watch.cancel()


class PythonWorkerTest(PlatformCase):
    """A worker in another language, over the same stream as ours."""

    WORKER = False

    def setUp(self):
        self.stream = self.workers.Work()
        self.stream.send(
            hello={
                "worker_id": self.id(),
                "task_types": [{"type": "python.upper"}],
                "slots": 2,
                "labels": {"language": "python"},
            }
        )
        self.welcome = self.stream.receive().welcome
        self.addCleanup(self.stream.cancel)

    def receive_deliveries(self, count):
        messages = receive_until(self.stream, lambda all: sum(len(m.push.deliveries) for m in all) >= count)
        return [delivery for message in messages for delivery in message.push.deliveries]

    def report_and_await(self, outcomes):
        """Sends outcomes, and returns the broker's answers as {epoch: "" or reason of the refusal}."""
        self.stream.send(report={"outcomes": outcomes})
        answers = {}
        while len(answers) < len(outcomes):
            push = self.stream.receive().push
            answers.update({epoch: "" for epoch in push.acknowledged_epochs})
            answers.update({refused.epoch: refused.error.reason for refused in push.refused})
        return answers

    def test_runs_tasks_and_has_its_outcomes_acknowledged(self):
        self.assertFalse(self.welcome.resumed)
        self.assertTrue(self.welcome.session_id)
        self.assertGreaterEqual(self.welcome.max_credit, 2)
        workers = {worker.worker_id: worker for worker in self.workers.ListWorkers().workers}
        self.assertEqual(workers[self.id()].labels["language"], "python")

        ids = [self.submit(type="python.upper", payload={"data": data}) for data in (b"a", b"b", b"c")]
        self.stream.send(report={"credit": 2})
        first, second = self.receive_deliveries(2)
        self.assertEqual([first.spec.task_id, second.spec.task_id], ids[:2])
        self.assertEqual((first.lease.attempt, first.spec.payload.data), (1, b"a"))
        self.assertLess(first.lease.epoch, second.lease.epoch)
        # Never more than the credit.
        self.assertEqual(self.state_of(ids[2]), "QUEUED")

        self.stream.send(
            report={
                "started": [{"lease": first.lease, "start_time": {"seconds": 1}}],
                "progress": [{"lease": first.lease, "progress": {"completed": 1, "total": 2, "message": "half"}}],
                "heartbeat": {"busy_slots": 2},
            }
        )
        for answer in self.tasks.WatchTask(task_id=ids[0]):
            if answer.task.progress.message == "half":
                break
        self.assertEqual(state_name(answer.task), "STARTED")
        self.assertEqual(answer.task.worker_id, self.id())

        answers = self.report_and_await(
            [
                {"lease": first.lease, "result": {"data": first.spec.payload.data.upper()}},
                {"lease": second.lease, "failure": {"type": "ValueError", "message": "no b", "non_retryable": True}},
            ]
        )
        self.assertEqual(answers, {first.lease.epoch: "", second.lease.epoch: ""})
        self.assertEqual(self.tasks.WaitTask(task_id=ids[0]).task.outcome.result.data, b"A")
        failed = self.tasks.WaitTask(task_id=ids[1]).task
        self.assertEqual((state_name(failed), failed.outcome.failure.type), ("FAILED", "ValueError"))

        # What was acknowledged is said again, as after a reconnect: nothing changes.
        again = self.report_and_await([{"lease": first.lease, "result": {"data": b"other"}}])
        self.assertEqual(again, {first.lease.epoch: "LEASE_LOST"})
        self.assertEqual(self.outcomes.WaitResult(task_id=ids[0]).outcome.result.data, b"A")

    def test_is_told_to_stop_a_cancelled_task(self):
        task_id = self.submit(type="python.upper")
        self.stream.send(report={"credit": 1})
        (delivery,) = self.receive_deliveries(1)
        task = self.tasks.CancelTask(task_id=task_id, reason="enough").task
        self.assertTrue(task.cancel_requested)
        (push,) = receive_until(self.stream, lambda all: any(m.push.cancels for m in all))
        self.assertEqual(push.push.cancels[0].lease, delivery.lease)
        self.report_and_await([{"lease": delivery.lease, "cancelled": {"reason": "as told"}}])
        self.assertEqual(state_name(self.tasks.WaitTask(task_id=task_id).task), "CANCELLED")

    def test_a_task_that_is_handed_back_is_delivered_again(self):
        self.submit(type="python.upper", payload={"data": b"x"})
        self.stream.send(report={"credit": 1})
        (delivery,) = self.receive_deliveries(1)
        self.report_and_await([{"lease": delivery.lease, "returned": {"reason": "busy"}}])
        self.stream.send(report={"credit": 1})
        (again,) = self.receive_deliveries(1)
        self.assertEqual(again.spec.task_id, delivery.spec.task_id)
        self.assertEqual((again.lease.attempt, again.failures), (2, 0))
        self.assertGreater(again.lease.epoch, delivery.lease.epoch)
        self.report_and_await([{"lease": again.lease, "result": {}}])


if __name__ == "__main__":
    unittest.main()
