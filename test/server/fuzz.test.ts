import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { getPython, needReference } from "../kit/lab/reference-python";
import { VERDICT } from "../kit/server/made-analysis";
import { withServer } from "../kit/server/test-server";

/** Its script names another Python: its environment was moved when it was complete. */
const PROGRAM = "from schemathesis.cli import schemathesis; schemathesis()";
/** Of each operation. */
const MOST_EXAMPLES = 8;
/** The same requests each time. */
const SEED = 20;
/** Those by which it could take its own token away, and be let in to nothing any more. */
const LEFT_OUT = ["remove_token", "remove_user", "change_user"];
const CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance", "ignored_auth"]; // prettier-ignore

test(
  "whatever is asked by the OpenAPI document or beside it, the server never fails, and answers as the document says",
  { skip: needReference("api") },
  async () => {
    await withServer({}, async (server) => {
      for (const name of ["one", "two"]) server.add({ name, verdict: VERDICT, artefacts: { "/tmp/drop": name } });
      const args = [
        ...[
          "run",
          `${server.url}/api/v1/openapi.json`,
          "--header",
          `Authorization: Bearer ${server.tokens.administrator}`,
        ],
        ...[
          "--checks",
          CHECKS.join(","),
          "--max-examples",
          String(MOST_EXAMPLES),
          "--seed",
          String(SEED),
          "--workers",
          "1",
        ],
        ...LEFT_OUT.flatMap((name) => ["--exclude-operation-id", name]),
        ...["--phases", "coverage,fuzzing", "--request-timeout", "30", "--generation-database", "none", "--no-color"], // prettier-ignore
      ];
      const child = spawn(getPython("api"), ["-c", PROGRAM, ...args], { cwd: server.lab.folder });
      const said: Buffer[] = [];
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => said.push(bytes));
      const [status] = (await once(child, "close")) as [number];
      const text = Buffer.concat(said).toString("utf8");
      assert.equal(status, 0, text.slice(-8_000));
      assert.match(text, /\d+ generated/);
      assert.deepEqual(server.log.filter((line) => /^(GET|POST|PUT|PATCH|DELETE) /.test(line)), []); // prettier-ignore
    });
  },
);
