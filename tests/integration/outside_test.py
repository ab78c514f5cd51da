"""What the platform shows to those who run it: metrics, probes, health, and its end on SIGTERM."""

import json
import re
import resource
import socket
import unittest
import urllib.error

import grpc

from tests.integration.platform_case import PlatformCase, state_name
from tests.integration.servers import Server, await_true, new_folder
from tests.integration.stranger import CALL_SECONDS, Stranger

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{((?:{_LABEL},?)*)\}})? (\S+)(?: -?\d+)?")


def parse_metrics(text):
    """{family: (type, {(sample's name, labels): value})}; ValueError where the text breaks Prometheus' format 0.0.4."""
    families, current = {}, None
    if not text.endswith("\n"):
        raise ValueError("no line feed at the end")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ")[2]
            if current in families:
                raise ValueError(f"{current} comes twice")
            if len(line.split(" ", 3)) < 4:
                raise ValueError(f"{current} has no help")
            families[current] = (None, {})
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name != current:
                raise ValueError(f"TYPE of {name} behind HELP of {current}")
            families[name] = (kind, {})
        else:
            match = _SAMPLE.fullmatch(line)
            if match is None:
                raise ValueError(f"not a sample: {line}")
            name, labels, value = match.groups()
            kind, samples = families[current]
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            if name not in [current + suffix for suffix in suffixes]:
                raise ValueError(f"{name} is within {current}, a {kind}")
            if (name, labels) in samples:
                raise ValueError(f"twice: {line}")
            if kind == "counter" and not name.endswith("_total"):
                raise ValueError(f"the counter {name} does not end in _total")
            samples[name, labels] = float(value)
    return families


def value(families, name, **labels):
    """The sum of the family's samples that have these labels."""
    wanted = [f'{label}="{text}"' for label, text in labels.items()]
    _, samples = families[name]
    return sum(number for (_, found), number in samples.items() if all(label in (found or "") for label in wanted))


class OutsideTest(PlatformCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for _ in range(3):
            task_id = cls.tasks.SubmitTask(spec={"type": "apium.echo"}).task_id
            cls.tasks.WaitTask(task_id=task_id)
            cls.outcomes.WaitResult(task_id=task_id)
        cls.tasks.SubmitTask(spec={"type": "nobody.runs.it"})

    def families(self, server):
        status, text = server.get("/metrics")
        self.assertEqual(status, 200)
        return parse_metrics(text)

    def assert_has(self, families, *names):
        self.assertEqual([name for name in names if name not in families], [])

    def test_the_brokers_metrics(self):
        families = self.families(self.broker)
        self.assert_has(
            families,
            *("apium_tasks_submitted_total", "apium_tasks_delivered_total", "apium_tasks_completed_total"),
            *("apium_tasks_redelivered_total", "apium_leases_expired_total", "apium_lease_stale_completions_total"),
            *("apium_queue_depth", "apium_queue_oldest_ready_age_seconds", "apium_queue_consumers"),
            *("apium_task_queue_wait_seconds", "apium_task_run_seconds", "apium_task_end_to_end_seconds"),
            *("apium_leases_active", "apium_workers_connected", "apium_stream_credit"),
            *("apium_wal_sync_seconds", "apium_commit_batch_size", "apium_backpressure_active"),
            *("apium_disk_free_bytes", "apium_results_connected", "apium_outbox_lag_commits"),
            *("apium_rocksdb_memtable_bytes", "apium_rocksdb_pending_compaction_bytes"),
            *("grpc_server_started_total", "grpc_server_handled_total", "grpc_server_handling_seconds"),
            *("process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total", "apium_build_info"),
        )
        self.assertEqual(value(families, "apium_tasks_submitted_total"), 4)
        self.assertEqual(value(families, "apium_tasks_completed_total", state="succeeded"), 3)
        self.assertEqual(value(families, "apium_queue_depth", queue="default", state="ready"), 1)
        self.assertEqual(value(families, "apium_workers_connected"), 1)
        self.assertEqual(value(families, "grpc_server_handled_total", grpc_method="WaitTask", grpc_code="OK"), 3)
        self.assertGreater(value(families, "process_resident_memory_bytes"), 1 << 20)

    def test_the_result_services_metrics(self):
        families = self.families(self.results)
        self.assert_has(
            families,
            *("apium_results_recorded_total", "apium_results_stored", "apium_results_expired_total"),
            *("apium_result_waiters", "apium_result_watchers", "apium_result_publishers"),
            *("apium_wal_sync_seconds", "apium_commit_batch_size", "apium_rocksdb_memtable_bytes"),
            *("grpc_server_handled_total", "process_resident_memory_bytes", "apium_build_info"),
        )
        self.assertEqual(value(families, "apium_results_recorded_total"), 3)
        self.assertEqual(value(families, "apium_result_publishers"), 1)

    def test_the_workers_metrics(self):
        families = self.families(self.worker)
        self.assert_has(
            families,
            *("apium_worker_tasks_started_total", "apium_worker_tasks_completed_total", "apium_task_run_seconds"),
            *("apium_worker_slots", "apium_worker_slots_busy", "apium_worker_streams_open"),
            *("apium_worker_reconnects_total", "process_resident_memory_bytes", "apium_build_info"),
        )
        self.assertEqual(value(families, "apium_worker_tasks_started_total", type="apium.echo"), 3)
        self.assertEqual(value(families, "apium_worker_slots"), 2)

    def test_probes_and_health_of_servers_that_serve(self):
        for server in (self.broker, self.results, self.worker):
            for path in ("/livez", "/readyz", "/healthz"):
                status, body = server.get(path)
                self.assertEqual(status, 200, body)
                self.assertIn("check passed", body)
            version = json.loads(server.get("/version")[1])
            self.assertEqual(version["service"], f"apium-{server.name}")
            status, body = server.get("/no/such/page")
            self.assertEqual(status, 404)
            self.assertIn("/metrics", body)
        for stranger in (self.at_broker, self.at_results):
            for service in ("", "liveness", "readiness", *stranger.services()):
                if not service.startswith("grpc."):
                    self.assertEqual(stranger.health(service), "SERVING", service)

    def test_logs_are_lines_of_json(self):
        for server in (self.broker, self.results, self.worker):
            for line in server.log().splitlines():
                entry = json.loads(line)
                self.assertLessEqual({"ts", "level", "msg", "service"}, set(entry))
                self.assertIn(entry["level"], ("debug", "info"), line)
            self.assertEqual(entry["service"], f"apium-{server.name}")


class StoppingTest(unittest.TestCase):
    """SIGTERM: not ready any more, calls that wait are told so, the exit code is 0."""

    def assert_tells_that_it_stops(self, server):
        stranger = Stranger(server.address)
        health = stranger.watch_health("")
        self.assertEqual(next(health), "SERVING")
        server.terminate()
        self.assertEqual(next(health), "NOT_SERVING")
        # The open call keeps the server for its grace.
        status, body = server.get("/readyz")
        self.assertEqual(status, 503)
        self.assertIn("readyz check failed", body)
        self.assertEqual(server.get("/livez")[0], 200)
        health.cancel()
        stranger.close()
        self.assertEqual(server.wait(), 0)

    def test_the_broker(self):
        with Server("broker", data=new_folder("broker")) as broker:
            self.assert_tells_that_it_stops(broker)

    def test_the_result_service(self):
        with Server("results", data=new_folder("results")) as results:
            self.assert_tells_that_it_stops(results)

    def test_calls_that_wait_are_told(self):
        with Server("broker", data=new_folder("broker")) as broker:
            stranger = Stranger(broker.address)
            tasks = stranger.service("apium.v1.TaskService")
            task_id = tasks.SubmitTask(spec={"type": "nobody.runs.it"}).task_id
            watch = tasks.WatchTask(task_id=task_id)
            self.assertEqual(state_name(next(watch).task), "QUEUED")
            worker = stranger.service("apium.v1.WorkerService").Work()
            worker.send(hello={"worker_id": "w", "slots": 1, "task_types": [{"type": "x"}]})
            worker.receive()
            broker.terminate()
            with self.assertRaises(grpc.RpcError) as raised:
                next(watch)
            self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)
            error = worker.end()
            self.assertEqual((error.code, error.reason), ("UNAVAILABLE", "SHUTTING_DOWN"))
            stranger.close()
            self.assertEqual(broker.wait(), 0)

    def test_a_worker_that_drains_is_not_ready(self):
        with Server("broker", data=new_folder("broker")) as broker:
            stranger = Stranger(broker.address)
            tasks = stranger.service("apium.v1.TaskService")
            with Server("worker", broker=broker.address, concurrency=1, shutdown_grace="10m") as worker:
                await_true(lambda: worker.get("/readyz")[0] == 200, "the worker is ready")
                payload = {"data": b'{"args": [3600]}', "content_type": "application/json"}
                task_id = tasks.SubmitTask(spec={"type": "apium.sleep", "payload": payload}).task_id
                await_true(
                    lambda: state_name(tasks.GetTask(task_id=task_id).task) == "STARTED", "the task has started"
                )
                worker.terminate()
                await_true(lambda: worker.get("/readyz")[0] == 503, "the worker is not ready")
                self.assertIn("draining", worker.get("/readyz")[1])
                self.assertEqual(worker.get("/livez")[0], 200)
                tasks.CancelTask(task_id=task_id)
                self.assertEqual(worker.wait(), 0)
            self.assertEqual(state_name(tasks.WaitTask(task_id=task_id).task), "CANCELLED")
            stranger.close()

    def test_a_worker_without_a_broker_is_alive_and_not_ready(self):
        with Server("worker", broker="127.0.0.1:1") as worker:
            status, body = worker.get("/readyz")
            self.assertEqual(status, 503)
            self.assertIn("127.0.0.1:1", body)
            self.assertEqual(worker.get("/livez")[0], 200)
            self.assertEqual(worker.stop(), 0)


class DescriptorsTest(unittest.TestCase):
    """More connections than the process may have descriptors: it serves again, or ends so that it is started again."""

    FILES = 160

    def test_many_connections(self):
        data = new_folder("broker")

        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.FILES, self.FILES))

        broker = Server("broker", before_exec=limit, data=data)
        self.addCleanup(broker.kill)
        host, port = broker.address.split(":")
        task_id = self.submit(broker.address)
        connections = []
        for _ in range(3 * self.FILES):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex((host, int(port)))
            connections.append(connection)
        # Until the listener has met the limit.
        await_true(lambda: "Too many open files" in broker.log(), "accept() fails")
        for connection in connections:
            connection.close()

        def serves_or_has_ended():
            return broker.process.poll() is not None or self.serves(broker.address)

        await_true(serves_or_has_ended, "it serves again or ends")
        if broker.process.poll() is not None:
            self.assertEqual(broker.process.returncode, 1)
            self.assertIn("listener does not answer", broker.log())
            broker = Server("broker", data=data)
            self.addCleanup(broker.kill)
        stranger = Stranger(broker.address)
        task = stranger.service("apium.v1.TaskService").GetTask(task_id=task_id).task
        self.assertEqual(state_name(task), "QUEUED")
        stranger.close()

    @staticmethod
    def submit(address):
        stranger = Stranger(address)
        task_id = stranger.service("apium.v1.TaskService").SubmitTask(spec={"type": "x"}).task_id
        stranger.close()
        return task_id

    @staticmethod
    def serves(address):
        stranger = Stranger(address)
        try:
            grpc.channel_ready_future(stranger.channel).result(timeout=1)
            return stranger.health() == "SERVING"
        except (grpc.RpcError, grpc.FutureTimeoutError):
            return False
        finally:
            stranger.close()


if __name__ == "__main__":
    unittest.main()
