"""Has samples of a Karton system analysed by a rebox server: docs/guides/karton.md explains it."""

import http.client
import json
import re
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Tuple, TypeVar

from karton.core import Karton, Resource, Task
from karton.core.task import TaskPriority

# Fields of a submission (docs/reference/server-api.md) that the section [rebox] and the payload "rebox" may have.
FIELDS = {"machine", "platform", "tag", "timeout", "network", "options", "option", "argument", "env", "user", "folder", "password", "member"}
PRIORITIES = {TaskPriority.LOW: 1, TaskPriority.NORMAL: 2, TaskPriority.HIGH: 3}
# Marks, for all tasks that follow, files that an analysis has left: they are not analysed in turn.
LEFT_BY = "rebox-left-by"
# A server that is away or busy is asked again for so long, in seconds.
AWAY_S = 300
PAUSE_S = 2
ANSWER_LIMIT_S = 600
Answer = TypeVar("Answer")
SHA256 = re.compile(r"[0-9a-f]{64}")


class RefusedError(Exception):
    """Reports that the server refuses a request, or that an analysis has no result."""


def is_unheard(error: Exception) -> bool:
    """Returns whether the server has certainly done nothing about a request: it was not reached, or had too much to do."""
    cause = error.__cause__
    if isinstance(cause, urllib.error.HTTPError):
        return cause.code in (429, 503)
    return isinstance(getattr(error, "reason", error), ConnectionRefusedError)


class Rebox:
    """A rebox server, by its API."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self.token = token

    def submit(self, name: str, content: bytes, fields: List[Tuple[str, str]]) -> int:
        """Asks for the analysis of a file, and returns its number."""
        boundary = uuid.uuid4().hex
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode() for key, value in fields]
        file_name = re.sub(r'[\0-\x1f"\\/]', "_", name) or "sample"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        body = b"".join([*parts, head.encode(), content, f"\r\n--{boundary}--\r\n".encode()])
        ids = self._insist(lambda: self._submit_once(body, boundary))
        if len(ids) != 1:
            for each in ids:
                self.cancel(each)
            raise RefusedError(f"the server has made {len(ids)} analyses of one sample; configure fields that make one")
        return ids[0]

    def wait(self, number: int) -> None:
        """Waits until an analysis has ended. Raises RefusedError when it has no result."""
        while True:
            analysis = json.loads(self.read(f"/api/v1/analyses/{number}"))
            if analysis["state"] == "finished":
                return
            if analysis["state"] not in ("waiting", "running"):
                raise RefusedError(f"analysis {number} is {analysis['state']}: {analysis['reason']}")
            time.sleep(PAUSE_S)

    def read(self, path: str) -> bytes:
        """Reads an answer as a whole; a server that is away for a while is waited for."""
        return self._insist(lambda: self._read_once(path))

    def cancel(self, number: int) -> None:
        """Ends an analysis early, if the server can be asked and it has not ended."""
        try:
            self._open(f"/api/v1/analyses/{number}/cancel", b"").close()
        except (OSError, RefusedError):
            pass

    def _submit_once(self, body: bytes, boundary: str) -> List[int]:
        try:
            with self._open("/api/v1/analyses", body, f"multipart/form-data; boundary={boundary}") as answer:
                return [int(each) for each in json.load(answer)["ids"]]
        except (OSError, http.client.HTTPException) as error:
            if is_unheard(error):
                raise
            # Asked again, the server might make a second analysis.
            raise RefusedError(f"it is not known whether the server has taken the sample: {error}") from error

    def _read_once(self, path: str) -> bytes:
        with self._open(path) as answer:
            return answer.read()

    def _insist(self, ask: Callable[[], Answer]) -> Answer:
        """Asks until there is an answer, for as long as the server may be away."""
        until = time.monotonic() + AWAY_S
        while True:
            try:
                return ask()
            except (OSError, http.client.HTTPException):
                # A refusal is none of these: they pass.
                if time.monotonic() > until:
                    raise
                time.sleep(PAUSE_S)

    def _open(self, path: str, body: Optional[bytes] = None, kind: Optional[str] = None) -> BinaryIO:
        headers = {"Authorization": f"Bearer {self.token}", **({} if kind is None else {"Content-Type": kind})}
        request = urllib.request.Request(f"{self.url}{path}", data=body, headers=headers)
        try:
            return urllib.request.urlopen(request, timeout=ANSWER_LIMIT_S)
        except urllib.error.HTTPError as error:
            text = error.read(2000).decode(errors="replace")
            if error.code == 429 or error.code >= 500:
                raise OSError(f"{path}: {error.code} {text}") from error
            raise RefusedError(f"{path}: {error.code} {text}") from error


class ReboxKarton(Karton):
    """Has samples analysed by a rebox server, and gives back reports, artefacts and tags."""

    identity = "karton.rebox"
    version = "1.0.0"
    filters = [
        {"type": "sample", "stage": "recognized", "kind": "runnable", "platform": "linux"},
        {"type": "sample", "stage": "recognized", "kind": "script", "extension": "sh"},
        {"type": "sample", "stage": "recognized", "kind": "script", "extension": "py"},
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        url, token = self.config.get("rebox", "url"), self.config.get("rebox", "token")
        if not url or not token:
            raise SystemExit("rebox_karton: set url and token in the section [rebox] of karton.ini, or by KARTON_REBOX_URL and KARTON_REBOX_TOKEN")
        self.rebox = Rebox(url, token)
        self.largest = self.config.getint("rebox", "largest", 32 << 20)
        self.most = self.config.getint("rebox", "most", 100)

    def process(self, task: Task) -> None:
        if task.has_payload(LEFT_BY):
            self.log.info("this file was left by an analysis of rebox, and is not analysed in turn")
            return
        sample = task.get_resource("sample")
        number = self.rebox.submit(sample.name, sample.content, list(self.list_fields(task)))
        self.log.info("%s is analysis %d", sample.sha256, number)
        try:
            self.rebox.wait(number)
        except BaseException:
            # Also the limit of the task, which Karton sets by a signal.
            self.rebox.cancel(number)
            raise
        self.send_results(number, sample)

    def list_fields(self, task: Task) -> Iterator[Tuple[str, str]]:
        """Lists the fields of the submission: those of karton.ini, and before them those that the task itself has."""
        given = task.get_payload("rebox", {})
        if not isinstance(given, dict) or not FIELDS.issuperset(given):
            raise RefusedError(f'the payload "rebox" has other fields than {", ".join(sorted(FIELDS))}')
        configured = {name: self.config.get("rebox", name) for name in FIELDS if self.config.has_option("rebox", name)}
        for name, value in {**configured, **given}.items():
            for each in value if isinstance(value, list) else [value]:
                yield name, str(each)
        yield "priority", str(PRIORITIES.get(task.priority, 1))
        yield "note", f"task {task.root_uid} of Karton"

    def send_results(self, number: int, sample: Any) -> None:
        """Sends the report, tags and files of an analysis to the system."""
        place = f"/api/v1/analyses/{number}"
        text = self.rebox.read(f"{place}/report.json")
        report = json.loads(text)
        tags = list_tags(report)
        files, left_out = self.choose_artefacts(report, sample)
        payload = {
            "sample": sample,
            "analysis": number,
            "link": f"{self.rebox.url}/analyses/{number}",
            "report": Resource("report.json", content=text),
            "page": Resource("report.html", content=self.rebox.read(f"{place}/report.html")),
            "verdict": report.get("verdict"),
            "tags": tags,
            "left_out": left_out,
        }
        with tempfile.TemporaryDirectory() as folder:
            # All is here before anything is sent: a task that is tried again would send it twice.
            for _, sha256 in files:
                Path(folder, sha256).write_bytes(self.rebox.read(f"{place}/files/artefacts/{sha256}?raw=yes"))
            self.send_task(Task({"type": "analysis", "kind": "rebox"}, payload=payload))
            self.send_task(Task({"type": "sample", "stage": "analyzed"}, payload={"sample": sample, "tags": tags}))
            for name, sha256 in files:
                left = {"sample": Resource(name, path=str(Path(folder, sha256))), "parent": sample, "tags": ["rebox:artefact"]}
                self.send_task(Task({"type": "sample", "kind": "raw"}, payload=left, payload_persistent={LEFT_BY: number}))

    def choose_artefacts(self, report: Dict[str, Any], sample: Any) -> Tuple[List[Tuple[str, str]], List[str]]:
        """Chooses the files that the target has left. Returns their names and contents by SHA-256, and the paths of those that are left out."""
        chosen: Dict[str, str] = {}
        left_out: List[str] = []
        for artefact in report.get("artefacts", []):
            path, size, sha256 = artefact["path"], artefact["size"], artefact.get("sha256")
            if sha256 is None or not SHA256.fullmatch(sha256):
                left_out.append(path)
            elif size == 0 or sha256 == sample.sha256 or sha256 in chosen:
                continue
            elif size > self.largest or len(chosen) >= self.most:
                left_out.append(path)
            else:
                chosen[sha256] = path.rsplit("/", 1)[-1] or "file"
        return [(name, sha256) for sha256, name in chosen.items()], left_out


def list_tags(report: Dict[str, Any]) -> List[str]:
    """Lists the tags of a report: the judgement, and names and techniques of what has fired."""
    verdict = report.get("verdict") or {}
    names = [f"rebox:{verdict['judgement']}"] if "judgement" in verdict else []
    for finding in verdict.get("findings", []):
        names.append(f"rebox:{finding['name']}")
        names.extend(f"attack:{technique}" for technique in finding["techniques"])
    return list(dict.fromkeys(re.sub(r"\s+", "-", name.lower()) for name in names))


if __name__ == "__main__":
    ReboxKarton.main()
