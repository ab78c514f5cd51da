"""A disk that is full or nearly so: submits are refused while outcomes are still accepted; nothing acknowledged is lost."""

import ctypes
import json
import os
import tempfile
import unittest

import grpc

from tests.integration.platform_case import PlatformCase, state_name
from tests.integration.servers import Server, await_true, new_folder, run_to_end
from tests.integration.stranger import Stranger, error_of

_CLONE_NEWNS = 0x00020000
_MS_REC_PRIVATE = 0x4000 | 0x40000
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)

MIB = 1 << 20
PIECE = 200_000  # of three bytes each


def mount_small_disk(mib):
    """A file system of its own, which only this process and its children see; None where that is not allowed."""
    path = new_folder("disk")
    alone = _libc.unshare(_CLONE_NEWNS) == 0 and _libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None) == 0
    size = f"size={mib}m".encode()
    if not alone or _libc.mount(b"tmpfs", path.encode(), b"tmpfs", 0, size) != 0:
        return None
    return path


def free_bytes(path):
    space = os.statvfs(path)
    return space.f_frsize * space.f_bavail


class Ballast:
    """A file that fills the disk but for so many bytes: before a store opens, or it has set a whole log aside."""

    def __init__(self, disk, leave):
        with tempfile.NamedTemporaryFile(dir=disk, delete=False) as file:
            self._path = file.name
            os.posix_fallocate(file.fileno(), 0, free_bytes(disk) - leave)

    def drop(self):
        os.remove(self._path)


class LowDiskTest(PlatformCase):
    """The broker wants more free space than there is."""

    WORKER = False

    def restart_broker(self, **flags):
        self.at_broker.close()
        self.broker.kill()
        type(self).broker = Server("broker", data=self.data["broker"], results=self.results.address, **flags)
        self.connect()

    def test_submits_are_refused_and_outcomes_accepted_until_there_is_space(self):
        ids = [self.submit(type="low.disk", payload={"data": b"%d" % i}) for i in range(3)]
        needed = 2 * free_bytes(self.data["broker"]) + MIB
        self.restart_broker(min_free_disk=needed)

        def refused():
            try:
                self.tasks.CancelTask(task_id=self.submit(type="low.disk"))
                return False
            except grpc.RpcError as error:
                self.assert_says(error_of(error), "RESOURCE_EXHAUSTED", "DISK_LOW", str(needed), "bytes free")
                self.assertGreater(error_of(error).retry_seconds, 0)
                return True

        await_true(refused, "submits are refused")
        batch = self.tasks.SubmitTasks(specs=[{"type": "low.disk"}]).results[0]
        self.assertEqual(batch.error.reason, "DISK_LOW")

        # What was accepted is run, cancelled, read.
        worker = self.workers.Work()
        worker.send(hello={"worker_id": "w", "slots": 1, "task_types": [{"type": "low.disk"}]})
        worker.receive()
        worker.send(report={"credit": 1})
        (delivery,) = worker.receive().push.deliveries
        self.assertEqual(delivery.spec.task_id, ids[0])
        worker.send(report={"outcomes": [{"lease": delivery.lease, "result": {"data": b"done"}}]})
        self.assertEqual(list(worker.receive().push.acknowledged_epochs), [delivery.lease.epoch])
        self.assertEqual(self.outcomes.WaitResult(task_id=ids[0]).outcome.result.data, b"done")
        self.tasks.CancelTask(task_id=ids[1])
        worker.finish()
        worker.end()
        self.assertIn('apium_backpressure_active{reason="disk"} 1', self.broker.get("/metrics")[1])

        self.restart_broker()
        self.assertEqual([self.state_of(task_id) for task_id in ids], ["SUCCEEDED", "CANCELLED", "QUEUED"])
        self.submit(type="low.disk")


class FullDiskTest(unittest.TestCase):
    """A small disk of its own, filled to the last byte."""

    @classmethod
    def setUpClass(cls):
        cls.disk = mount_small_disk(256)
        if cls.disk is None:
            raise unittest.SkipTest("cannot mount a tmpfs")
        cls.addClassCleanup(lambda: _libc.umount2(cls.disk.encode(), _MNT_DETACH))

    def assert_refuses_to_start(self, name, data):
        ended = run_to_end(
            name, data=data, listen="127.0.0.1:0", http_listen="127.0.0.1:0", log_format="json", min_free_disk=0
        )
        self.assertEqual(ended.code, 1, ended.output)
        errors = [line["error"] for line in map(json.loads, ended.lines) if line["level"] == "error"]
        self.assertEqual(len(errors), 1, ended.output)
        self.assertIn(data, errors[0])
        self.assertIn("full", errors[0])

    def test_the_broker_ends_and_comes_back_with_all_that_it_acknowledged(self):
        data = os.path.join(self.disk, "broker")
        ballast = Ballast(self.disk, leave=8 * MIB)
        broker = Server("broker", data=data, min_free_disk=0)
        stranger = Stranger(broker.address)
        tasks = stranger.service("apium.v1.TaskService")
        accepted = []
        with self.assertRaises(grpc.RpcError) as raised:
            while len(accepted) < 1000:
                payload = {"data": b"%03d" % len(accepted) * PIECE}
                accepted.append(tasks.SubmitTask(spec={"type": "full.disk", "payload": payload}).task_id)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)
        stranger.close()
        self.assertEqual(broker.wait(), 1)
        errors = [json.loads(line) for line in broker.log().splitlines()]
        errors = [line["error"] for line in errors if line["level"] == "error" and "logger" not in line]
        self.assertIn("full", errors[0])
        self.assertIn(data, errors[0])
        self.assertGreater(len(accepted), 0)

        # What the store had set aside and not used is free again.
        rest = Ballast(self.disk, leave=0)
        self.assert_refuses_to_start("broker", data)
        rest.drop()
        ballast.drop()
        with Server("broker", data=data, min_free_disk=0) as broker:
            stranger = Stranger(broker.address)
            tasks = stranger.service("apium.v1.TaskService")
            for i, task_id in enumerate(accepted):
                task = tasks.GetTask(task_id=task_id).task
                self.assertEqual((state_name(task), task.spec.payload.data), ("QUEUED", b"%03d" % i * PIECE))
            tasks.SubmitTask(spec={"type": "full.disk"})
            stranger.close()

    def test_the_broker_works_on_while_the_disk_of_the_results_is_full(self):
        data = os.path.join(self.disk, "results")
        ballast = Ballast(self.disk, leave=8 * MIB)
        results = Server("results", data=data)
        address = results.address
        with Server("broker", data=new_folder("broker"), results=address) as broker:
            stranger = Stranger(broker.address)
            tasks = stranger.service("apium.v1.TaskService")
            with Server("worker", broker=broker.address):
                ids = []
                while results.process.poll() is None and len(ids) < 1000:
                    payload = {"data": b"%03d" % len(ids) * PIECE}
                    ids.append(tasks.SubmitTask(spec={"type": "apium.echo", "payload": payload}).task_id)
                    self.assertEqual(state_name(tasks.WaitTask(task_id=ids[-1]).task), "SUCCEEDED")
                self.assertEqual(results.wait(), 1)
                self.assertIn("full", results.log())
                ballast.drop()
                with Server("results", data=data, listen=address) as results:
                    at_results = Stranger(results.address)
                    outcomes = at_results.service("apium.v1.ResultService")
                    for read in (outcomes.WaitResult, lambda **name: tasks.GetTask(**name).task):
                        for i, task_id in enumerate(ids):
                            self.assertEqual(read(task_id=task_id).outcome.result.data, b"%03d" % i * PIECE)
                    at_results.close()
            stranger.close()


if __name__ == "__main__":
    unittest.main()
