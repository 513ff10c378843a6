import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { withFolder } from "../kit/lab/lab-folder";
import { quickLab } from "../kit/lab/quick-machinery";
import { REBOX } from "../kit/project";
import { addUsers, fileForm, jsonOf } from "../kit/server/test-server";

/** Of the disk, in MiB: an upload has to leave 512 of them. */
const SIZE_MIB = 530;
const NEEDS_ROOT = process.getuid!() === 0 ? false : "mounting a small disk takes root";

test(
  "on a full disk the server refuses what would write, answers what only reads, and goes on when there is room again",
  { skip: NEEDS_ROOT },
  async () => {
    await withFolder(quickLab("office"), async (lab) => {
      const { analyst, reader } = await addUsers(lab.folder);
      const small = join(lab.folder, "small");
      mkdirSync(small);
      // A namespace of its own: the disk is gone with the server.
      const script = 'mount -t tmpfs -o size="$2"m tmpfs "$1/small" && cp -a "$1/conf" "$1/modules" "$1/server" "$1/small" && exec "$3" "$4" serve --lab "$1/small" --listen 127.0.0.1:0'; // prettier-ignore
      const child = spawn("unshare", ["--mount", "sh", "-c", script, "sh", lab.folder, String(SIZE_MIB), process.execPath, REBOX], { stdio: ["ignore", "pipe", "inherit"] }); // prettier-ignore
      try {
        const [line] = (await once(child.stdout, "data")) as [Buffer];
        const url = /^serving on (\S+)/.exec(String(line))![1]!;
        const ask = async (token: string, path: string, init: RequestInit = {}) => {
          const answer = await fetch(url + path, { ...init, headers: { ...(init.headers as object), authorization: `Bearer ${token}` } }); // prettier-ignore
          return { status: answer.status, text: await answer.text() };
        };
        const submit = (init: Omit<RequestInit, "method">) =>
          ask(analyst, "/api/v1/analyses", { method: "POST", ...init });
        // Through the process: the disk is in no other namespace.
        const inside = `/proc/${child.pid}/root${small}`;
        const tooLarge = await submit({ body: fileForm("large", Buffer.alloc(40 << 20)) });
        assert.deepEqual(
          [tooLarge.status, /the disk of the lab is full/.test(tooLarge.text)],
          [507, true],
          tooLarge.text,
        );
        assert.deepEqual(readdirSync(join(inside, "server/incoming")), []);
        assert.equal((await submit({ body: fileForm("small", "#!/bin/sh\n") })).status, 201);
        const balloon = join(inside, "balloon");
        assert.throws(() => writeFileSync(balloon, Buffer.alloc(SIZE_MIB << 20)), /ENOSPC/);
        const full = await submit({ body: fileForm("next", "#!/bin/sh\nexit 1\n") });
        assert.equal(full.status, 507, full.text);
        // What is written without a file fails at the database, and says the same.
        const many = jsonOf({ command: "true", note: "x".repeat(1_000), runs: 20 });
        let last = await submit(many);
        for (let count = 0; count < 200 && last.status === 201; count++) last = await submit(many);
        assert.deepEqual([last.status, /the disk of the lab is full/.test(last.text)], [507, true], last.text);
        for (const path of ["/api/v1/analyses", "/api/v1/analyses/1", "/health", "/metrics", "/api/v1/me"])
          assert.equal((await ask(reader, path)).status, 200, path);
        rmSync(balloon);
        assert.equal((await submit({ body: fileForm("again", "#!/bin/sh\nexit 2\n") })).status, 201);
      } finally {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
    });
  },
);
