"""A test case with the platform of real programs: a result service, a broker, a worker."""

import unittest

import grpc

from tests.integration.servers import Server, new_folder
from tests.integration.stranger import Stranger, error_of


class PlatformCase(unittest.TestCase):
    """The programs run from the first test of the class to the last."""

    WORKER = True
    BROKER_FLAGS = {}

    @classmethod
    def setUpClass(cls):
        cls.data = {name: new_folder(f"{name}-data") for name in ("broker", "results")}
        cls.results = Server("results", data=cls.data["results"])
        cls.addClassCleanup(cls.results.kill)
        cls.broker = Server("broker", data=cls.data["broker"], results=cls.results.address, **cls.BROKER_FLAGS)
        cls.addClassCleanup(lambda: cls.broker.kill())
        if cls.WORKER:
            cls.worker = Server("worker", broker=cls.broker.address, concurrency=2)
            cls.addClassCleanup(cls.worker.kill)
        cls.connect()
        cls.addClassCleanup(lambda: (cls.at_broker.close(), cls.at_results.close()))

    @classmethod
    def connect(cls):
        cls.at_broker = Stranger(cls.broker.address)
        cls.at_results = Stranger(cls.results.address)
        cls.tasks = cls.at_broker.service("apium.v1.TaskService")
        cls.queues = cls.at_broker.service("apium.v1.QueueService")
        cls.workers = cls.at_broker.service("apium.v1.WorkerService")
        cls.outcomes = cls.at_results.service("apium.v1.ResultService")

    def assert_refused(self, call, code, reason, *words):
        """`call` ends with this code and reason and a message that has all the words. Returns the Error."""
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        error = error_of(raised.exception)
        self.assert_says(error, code, reason, *words)
        return error

    def assert_says(self, error, code, reason, *words):
        self.assertEqual((error.code, error.reason), (code, reason), error)
        self.assertTrue(error.message, error)
        for word in words:
            self.assertIn(word, error.message)

    def submit(self, **spec):
        """The id of a new task."""
        return self.tasks.SubmitTask(spec=spec).task_id

    def state_of(self, task_id):
        """Name of the task's state, without TASK_STATE_."""
        return state_name(self.tasks.GetTask(task_id=task_id).task)


def state_name(message):
    """Name of the field `state`, without TASK_STATE_."""
    field = message.DESCRIPTOR.fields_by_name["state"]
    return field.enum_type.values_by_number[message.state].name.removeprefix("TASK_STATE_")
