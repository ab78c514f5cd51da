"""Programs that must not start: each says once what is wrong and what would be right, and harms nothing."""

import glob
import json
import os
import subprocess
import unittest

from tests.integration.platform_case import state_name
from tests.integration.servers import Server, new_folder, run_to_end
from tests.integration.stranger import Stranger

WRITE_IDENTITY = "tests/integration/write_store_identity"

TASKS = 30


class BadStartCase(unittest.TestCase):
    def assert_refuses_to_start(self, name, *words, started=False, **flags):
        """The program ends with code 1 and one line of the level error, which has all the words.

        With `started` it may have served for a moment, before it came upon what is wrong.
        """
        servers = {"listen": "127.0.0.1:0", "data": new_folder("unused")} if name != "worker" else {}
        flags = {"http_listen": "127.0.0.1:0", "log_format": "json", **servers, **flags}
        ended = run_to_end(name, **flags)
        self.assertEqual(ended.code, 1, ended.output)
        errors = [line for line in map(json.loads, ended.lines) if line["level"] in ("error", "fatal")]
        self.assertEqual(len(errors), 1, ended.output)
        if not started:
            self.assertEqual(errors[0]["msg"], "cannot start")
        for word in words:
            self.assertIn(word, errors[0]["error"])
        self.assertNotIn("type.googleapis.com", errors[0]["error"])


class StoreTest(BadStartCase):
    """Stores that cannot be used as they are. Afterwards everything is read back from them."""

    @classmethod
    def setUpClass(cls):
        cls.data = {name: new_folder(f"{name}-data") for name in ("broker", "results")}
        with cls.start("results") as results, cls.start("broker", results=results.address) as broker:
            with Server("worker", broker=broker.address):
                stranger = Stranger(broker.address)
                tasks = stranger.service("apium.v1.TaskService")
                cls.waiting = cls.submit(tasks, "nobody.runs.it")
                cls.finished = cls.submit(tasks, "apium.echo")
                for task_id in cls.finished:
                    tasks.WaitTask(task_id=task_id)
                at_results = Stranger(results.address)
                outcomes = at_results.service("apium.v1.ResultService")
                for task_id in cls.finished:
                    outcomes.WaitResult(task_id=task_id)
                stranger.close()
                at_results.close()
        # The programs were killed: their rows are in the logs. An opening moves them to tables.
        cls.start("broker").kill()
        cls.start("results").kill()

    @classmethod
    def start(cls, name, **flags):
        return Server(name, data=cls.data[name], **flags)

    @staticmethod
    def submit(tasks, task_type):
        specs = [{"type": task_type, "payload": {"data": b"%d" % i}} for i in range(TASKS)]
        return [result.task_id for result in tasks.SubmitTasks(specs=specs).results]

    def read_back(self):
        """All that was stored is there."""
        with self.start("results") as results, self.start("broker", results=results.address) as broker:
            stranger = Stranger(broker.address)
            tasks = stranger.service("apium.v1.TaskService")
            for i in range(TASKS):
                waiting = tasks.GetTask(task_id=self.waiting[i]).task
                self.assertEqual((state_name(waiting), waiting.spec.payload.data), ("QUEUED", b"%d" % i))
                finished = tasks.GetTask(task_id=self.finished[i]).task
                self.assertEqual((state_name(finished), finished.outcome.result.data), ("SUCCEEDED", b"%d" % i))
            stranger.close()

    def tearDown(self):
        self.read_back()

    def test_a_second_process_on_the_same_folder(self):
        with self.start("broker") as broker, self.start("results") as results:
            for name in ("broker", "results"):
                data = self.data[name]
                self.assert_refuses_to_start(name, data, "in use by another process", "another data folder", data=data)
            # The first ones do not notice.
            for server in (broker, results):
                self.assertEqual(Stranger(server.address).health(), "SERVING")

    def test_a_store_of_the_other_application(self):
        for name, other in (("broker", "results"), ("results", "broker")):
            self.assert_refuses_to_start(
                name, f"written by apium-{other}", f"this is apium-{name}", "folder of its own", data=self.data[other]
            )

    def test_a_store_of_a_newer_format(self):
        for name in ("broker", "results"):
            newer = new_folder("newer")
            subprocess.run([WRITE_IDENTITY, newer, f"apium-{name}", "999"], check=True)
            self.assert_refuses_to_start(name, "format version 999", "this apium-", "newer program", data=newer)

    def test_a_store_of_something_else(self):
        other = new_folder("other")
        subprocess.run([WRITE_IDENTITY, other, "some-database", "1"], check=True)
        self.assert_refuses_to_start("broker", "some-database", "apium-broker", data=other)
        self.assert_refuses_to_start("results", "some-database", "apium-results", data=other)

    def file_of(self, name, pattern):
        """The largest file of the store that matches."""
        return max(glob.glob(os.path.join(self.data[name], pattern)), key=os.path.getsize)

    def assert_damage_is_refused(self, name, pattern, damage, *words):
        """Damages a file of the store, and mends it again."""
        path = self.file_of(name, pattern)
        with open(path, "rb") as file:
            content = file.read()
        damaged = damage(content)
        if damaged is None:
            os.remove(path)
        else:
            with open(path, "wb") as file:
                file.write(damaged)
        try:
            data = self.data[name]
            words = (data, "is damaged", *words, "restore the folder from a backup")
            self.assert_refuses_to_start(name, *words, started=True, data=data)
        finally:
            with open(path, "wb") as file:
                file.write(content)

    def test_corrupt_stores(self):
        def flip(content):
            return bytes(byte ^ 0x40 if at % 100 == 50 else byte for at, byte in enumerate(content))

        def truncate(content):
            return content[: len(content) // 2]

        def remove(_):
            return None

        for name in ("broker", "results"):
            for pattern, damage, *words in (
                # RocksDB names the table or, for its last bytes, the manifest that lists it.
                ("*.sst", flip),
                ("*.sst", truncate),
                ("*.sst", remove, ".sst"),
                ("MANIFEST-*", flip, "MANIFEST-"),
                ("MANIFEST-*", remove, "MANIFEST-"),
                ("CURRENT", remove, "CURRENT"),
            ):
                with self.subTest(name, file=pattern, damage=damage.__name__):
                    self.assert_damage_is_refused(name, pattern, damage, *words)

    def test_a_corrupt_log(self):
        with self.start("broker") as broker:
            stranger = Stranger(broker.address)
            tasks = stranger.service("apium.v1.TaskService")
            for i in range(TASKS):
                task_id = tasks.SubmitTask(spec={"type": "nobody.runs.it", "payload": {"data": bytes(1000)}}).task_id
            stranger.close()

        def flip(content):
            return content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]

        self.assert_damage_is_refused("broker", "*.log", flip, "checksum")
        self.assert_damage_is_refused("broker", "*.log", lambda _: None, "log (a file *.log) is missing")
        with self.start("broker") as broker:
            stranger = Stranger(broker.address)
            task = stranger.service("apium.v1.TaskService").GetTask(task_id=task_id).task
            self.assertEqual(task.spec.payload.data, bytes(1000))
            stranger.close()


class AddressTest(BadStartCase):
    def test_a_port_in_use(self):
        with Server("results", data=new_folder("results-data")) as first:
            for name in ("broker", "results"):
                self.assert_refuses_to_start(
                    name, first.address, "another process already listens", "another port", listen=first.address
                )
            for name in ("broker", "results", "worker"):
                self.assert_refuses_to_start(
                    name,
                    first.http_address,
                    "another process already listens",
                    "another port",
                    http_listen=first.http_address,
                )
            self.assertEqual(Stranger(first.address).health(), "SERVING")

    def test_an_address_of_another_machine(self):
        for name in ("broker", "results"):
            self.assert_refuses_to_start(name, "192.0.2.1:7450", "Cannot assign", listen="192.0.2.1:7450")

    def test_folders_that_cannot_be_made(self):
        file = os.path.join(new_folder("file"), "file")
        with open(file, "w", encoding="ascii"):
            pass
        for name in ("broker", "results"):
            self.assert_refuses_to_start(name, file, "directory", data=file)
            self.assert_refuses_to_start(name, file, "directory", data=f"{file}/below")


class FlagTest(unittest.TestCase):
    """Flags that are wrong: code 2, and a message on stderr that begins with the flag."""

    def assert_usage(self, name, flag, value, *words):
        ended = run_to_end(name, **{flag: value})
        self.assertEqual(ended.code, 2, ended.output)
        self.assertIn("--" + flag.replace("_", "-"), ended.lines[0])
        for word in words:
            self.assertIn(word, ended.lines[0])
        self.assertIn("--help", ended.output)

    def test_flags_of_both_servers(self):
        for name in ("broker", "results"):
            self.assert_usage(name, "listen", "nonsense", "no port", "host:port")
            self.assert_usage(name, "listen", "127.0.0.1:99999", "65535")
            self.assert_usage(name, "http_listen", "nonsense", "no port", "host:port")
            self.assert_usage(name, "data", "", "empty")
            self.assert_usage(name, "log_level", "loud", "debug, info, warn or error")
            self.assert_usage(name, "log_format", "xml", "json")
            self.assert_usage(name, "no_such_flag", "1")

    def test_flags_of_the_broker(self):
        self.assert_usage("broker", "lease_duration", "30", "500ms, 30s or 1h30m")
        self.assert_usage("broker", "lease_duration", "1ms", "from 1s to")
        self.assert_usage("broker", "reattach_grace", "-1s", "from 0 to")
        self.assert_usage("broker", "mailbox_commands", "0")
        self.assert_usage("broker", "payload_max", "lots")
        self.assert_usage("broker", "results", "no port", "host:port")

    def test_flags_of_the_result_service(self):
        self.assert_usage("results", "result_ttl", "1ms", "from 1s to")
        self.assert_usage("results", "waiters_max", "many")

    def test_flags_of_the_worker(self):
        self.assert_usage("worker", "broker", "nohost", "host:port")
        self.assert_usage("worker", "broker", ":7450", "host and a port")
        self.assert_usage("worker", "queues", "two words", "1 to 255")
        self.assert_usage("worker", "concurrency", "-1", "0 to 50000")
        self.assert_usage("worker", "label", "zone", "name=value")
        self.assert_usage("worker", "namespace", "Upper", "a-z 0-9")
        self.assert_usage("worker", "shutdown_grace", "soon", "30s")
        self.assert_usage("worker", "no_such_flag", "1")

    def test_help_and_version_are_no_errors(self):
        for name in ("broker", "results", "worker"):
            for flag in ("help", "version"):
                ended = run_to_end(name, **{flag: True})
                self.assertEqual(ended.code, 0)
                self.assertIn(f"apium-{name}", ended.output)


class ConfigurationTest(BadStartCase):
    def test_values_that_only_the_server_can_judge(self):
        self.assert_refuses_to_start("broker", "5242880", "4194304", payload_max="5Mi")
        for name in ("broker", "results"):
            self.assert_refuses_to_start(name, "Bad Name", "a-z 0-9", namespace="Bad Name")

    def test_a_port_file_that_cannot_be_written(self):
        for name in ("broker", "results"):
            ended = run_to_end(
                name,
                listen="127.0.0.1:0",
                http_listen="127.0.0.1:0",
                data=new_folder("data"),
                port_file="/no/such/folder/ports",
            )
            self.assertEqual(ended.code, 1, ended.output)
            self.assertIn("/no/such/folder/ports", ended.output)


if __name__ == "__main__":
    unittest.main()
