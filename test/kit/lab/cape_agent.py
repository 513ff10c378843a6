"""A server in a guest that speaks the protocol of CAPE's agent 0.22, as far as rebox uses it."""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

program = None


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, **fields):
        self.send_response_only(status)
        self.end_headers()
        self.wfile.write(json.dumps(fields).encode())

    def read_form(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        boundary = re.search("boundary=(.*)", self.headers.get("Content-Type", ""))
        if boundary is None:
            return dict(urllib.parse.parse_qsl(body.decode())), None
        fields, content = {}, None
        for part in body.split(b"--" + boundary.group(1).encode())[1:-1]:
            head, _, value = part.partition(b"\r\n\r\n")
            if b"filename=" in head:
                content = value[:-2]
            else:
                fields[re.search(b'name="([^"]*)"', head).group(1).decode()] = value[:-2].decode()
        return fields, content

    def do_GET(self):
        global program
        if self.path == "/":
            features = ["execpy", "execute", "pinning", "logs", "largefile", "unicodepath"]
            return self.answer(200, message="CAPE Agent!", version="0.22", features=features)
        if self.path == "/system":
            return self.answer(200, message="System", system="Linux")
        if self.path == "/status":
            if program is None:
                return self.answer(200, message="Analysis status", status="complete")
            code = program.poll()
            if code is None:
                return self.answer(200, message="Analysis status", status="running", process_id=program.pid)
            program = None
            return self.answer(200, message="Analysis status", status="complete" if code == 0 else "failed", exitcode=code)
        return self.answer(404, message="Route not found", error_code=404)

    def do_POST(self):
        global program
        fields, content = self.read_form()
        if self.path == "/mkdtemp":
            return self.answer(200, message="", dirpath=tempfile.mkdtemp(prefix=fields.get("prefix", "")))
        if self.path == "/store":
            with open(fields["filepath"], "wb") as file:
                file.write(content)
            return self.answer(200, message="Successfully stored file")
        if self.path == "/retrieve":
            if not os.path.isfile(fields["filepath"]):
                return self.answer(404, message="Invalid filepath", error_code=404)
            self.send_response_only(200)
            self.end_headers()
            with open(fields["filepath"], "rb") as file:
                return self.wfile.write(file.read())
        if self.path == "/remove":
            path = fields["path"]
            if not os.path.exists(path):
                return self.answer(404, message="Path provided does not exist", error_code=404)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
            return self.answer(200, message="Successfully deleted")
        if self.path == "/execpy":
            if program is not None:
                return self.answer(400, message="Async process already running.", error_code=400)
            program = subprocess.Popen([sys.executable, fields["filepath"]], cwd=fields.get("cwd"))
            return self.answer(200, message="Successfully spawned command", process_id=program.pid)
        if self.path == "/status":
            program = None
            return self.answer(200, message="Analysis status updated")
        return self.answer(404, message="Route not found", error_code=404)

    def log_message(self, *_):
        pass


http.server.HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
