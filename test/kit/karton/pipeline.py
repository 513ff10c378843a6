"""The other services of a Karton system, for a test: one hands in a sample, one prints the tasks that come back."""

import json
import sys

from karton.core import Karton, Producer, Resource, Task
from karton.core.resource import RemoteResource


class Receiver(Karton):
    """Prints each task that the service under test sends, a line of JSON each."""

    identity = "test.receiver"
    filters = [
        {"type": "analysis", "kind": "rebox"},
        {"type": "sample", "stage": "analyzed"},
        {"type": "sample", "kind": "raw"},
    ]

    def process(self, task: Task) -> None:
        payload = {**task.payload, **task.payload_persistent}
        print(json.dumps({"headers": task.headers, "payload": {name: describe(value) for name, value in payload.items()}}), flush=True)


def describe(value: object) -> object:
    if not isinstance(value, RemoteResource):
        return value
    return {"name": value.name, "sha256": value.sha256, "text": value.content.decode("latin1")}


def send() -> None:
    """Hands in a sample: its headers, payload and content come from standard input."""
    asked = json.load(sys.stdin)
    sample = Resource(asked["name"], content=asked["content"].encode("latin1"))
    task = Task(asked["headers"], payload={"sample": sample, **asked.get("payload", {})}, payload_persistent=asked.get("persistent", {}))
    Producer(identity="test.sender").send_task(task)


if __name__ == "__main__":
    if sys.argv[1:] == ["send"]:
        send()
    else:
        Receiver.main()
