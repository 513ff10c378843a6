import assert from "node:assert/strict";
import { dirname } from "node:path";
import { after, before, describe, test } from "node:test";
import { ACCESS_KEY, ObjectServer, SECRET_KEY } from "../kit/cluster/object-server";
import { PrivatePostgres } from "../kit/cluster/postgres";
import { BUCKET, NO_CLUSTER } from "../kit/cluster/test-cluster";
import { runDocument } from "../kit/documents/run-document";
import { defaultKit } from "../kit/guests/guest-kits";

describe("docs/guides/hosts.md", { skip: NO_CLUSTER }, () => {
  let postgres: PrivatePostgres;
  let store: ObjectServer;
  before(async () => {
    postgres = await PrivatePostgres.start();
    store = await ObjectServer.start(BUCKET);
  });
  after(async () => {
    await store?.stop();
    await postgres?.stop();
  });

  test("leads from one machine to three hosts", () => {
    const env = {
      ...{ KIT: dirname(defaultKit().kernel), DATABASE: postgres.url(), BUCKET: store.url(BUCKET) },
      ...{ AWS_ACCESS_KEY_ID: ACCESS_KEY, AWS_SECRET_ACCESS_KEY: SECRET_KEY },
    };
    const cleanUp = ["one", "two", "three"].map((lab) => ["machine", "stop", "office", "--lab", lab]);
    const count = runDocument("docs/guides/hosts.md", { env, normalize: (text) => text, cleanUp, limitMs: 240_000 });
    assert.ok(count > 8, "the document has commands");
  });
});
