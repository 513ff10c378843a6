import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { SymbolsError } from "../../src/systems/errors";
import { readImageSymbols } from "../../src/systems/windows/symbols/image-symbols";
import { type SymbolIdentity, symbolKey } from "../../src/systems/windows/symbols/symbol-identity";
import { fetchSymbols } from "../../src/systems/windows/symbols/symbol-server";
import { SymbolStore } from "../../src/systems/windows/symbols/symbol-store";
import { inFolder } from "../kit/in-folder";
import { buildImage, WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const OPTIONS = { skip: WITHOUT_WINDOWS_TOOLS };
const HAS_CABINETS = ["gcab", "cabextract"].every((tool) => spawnSync(tool, ["--version"]).status === 0);

let folder: string;
let pdb: string;
let identity: SymbolIdentity;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-server-"));
  if (WITHOUT_WINDOWS_TOOLS) return;
  ({ pdb } = buildImage(folder, "int _fltused; int start(int x) { return x; }", { bits: 64, name: "image" }));
  ({ identity } = readImageSymbols(pdb));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a symbol server on this machine, and gives what it was asked: method, path and headers. */
async function withServer(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
  act: (address: string, asked: readonly IncomingMessage[]) => Promise<void>,
): Promise<void> {
  const asked: IncomingMessage[] = [];
  const server: Server = createServer((request, response) => answer(request, response, asked.push(request)));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    await act(`http://127.0.0.1:${(server.address() as AddressInfo).port}/symbols`, asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const refuse = (response: ServerResponse): void => {
  response.writeHead(404).end();
};

test("a file is fetched by name, GUID and age, kept, and not asked for again", OPTIONS, async () => {
  await inFolder(async (place) => {
    const store = new SymbolStore(place);
    const path = `/symbols/image.pdb/${symbolKey(identity)}/image.pdb`;
    await withServer(
      (request, response) => (request.url === path ? response.end(readFileSync(pdb)) : refuse(response)),
      async (address, asked) => {
        const fetched = await fetchSymbols(store, [address], identity);
        assert.deepEqual(readFileSync(fetched!.path), readFileSync(pdb));
        assert.equal(store.open(identity)?.origin, fetched?.path);
        assert.deepEqual(
          asked.map(({ method, url }) => `${method} ${url}`),
          [`GET ${path}`],
        );
        const { host, connection, "user-agent": agent, ...rest } = asked[0]!.headers;
        assert.ok(host && connection && agent?.startsWith("Microsoft-Symbol-Server/"));
        assert.deepEqual(
          Object.keys(rest).filter((name) => !name.startsWith("accept") && name !== "sec-fetch-mode"),
          [],
        );
      },
    );
  });
});

test(
  "a packed file is fetched where there is no other, and kept unpacked",
  { skip: HAS_CABINETS ? WITHOUT_WINDOWS_TOOLS : "there are no cabinets: apt install gcab cabextract" },
  async () => {
    await inFolder(async (place) => {
      const cabinet = join(place, "image.pd_");
      execFileSync("gcab", ["--create", "--nopath", "--zip", cabinet, pdb]);
      await withServer(
        (request, response) => (request.url?.endsWith(".pd_") ? response.end(readFileSync(cabinet)) : refuse(response)),
        async (address, asked) => {
          const fetched = await fetchSymbols(new SymbolStore(join(place, "store")), [address], identity);
          assert.deepEqual(readFileSync(fetched!.path), readFileSync(pdb));
          assert.equal(asked.length, 2);
        },
      );
    });
  },
);

test("a transfer that breaks off is begun anew; the next server is asked where one has nothing", OPTIONS, async () => {
  await inFolder(async (place) => {
    const whole = readFileSync(pdb);
    const serve = (_: IncomingMessage, response: ServerResponse, count: number): void => {
      response.writeHead(200, { "content-length": whole.length });
      if (count > 1) response.end(whole);
      else response.write(whole.subarray(0, 1000), () => response.destroy());
    };
    await withServer(
      (_, response) => refuse(response),
      async (empty, askedFirst) => {
        await withServer(serve, async (address, asked) => {
          const fetched = await fetchSymbols(new SymbolStore(place), [empty, address], identity);
          assert.deepEqual(readFileSync(fetched!.path), whole);
          assert.deepEqual([askedFirst.length, asked.length], [2, 2]);
        });
      },
    );
  });
});

test(
  "another image's file, a page instead of a file, and a server that is gone are errors that leave nothing",
  OPTIONS,
  async () => {
    await inFolder(async (place) => {
      const store = new SymbolStore(place);
      const other = { ...identity, guid: "0".repeat(32) };
      await withServer(
        (_, response) => response.end(readFileSync(pdb)),
        async (address) => {
          await assert.rejects(fetchSymbols(store, [address], other), /but image\.pdb\/0{32}1 was asked for/);
        },
      );
      await withServer(
        (_, response) => response.end("<html>log in</html>"),
        async (address) => {
          await assert.rejects(fetchSymbols(store, [address], identity), SymbolsError);
        },
      );
      await withServer(
        (_, response) => response.writeHead(500).end(),
        async (address) => {
          await assert.rejects(fetchSymbols(store, [address], identity), /answers 500/);
        },
      );
      await withServer(
        () => undefined,
        async (address) => {
          await assert.rejects(
            fetchSymbols(store, [address], identity, { timeoutMs: 50 }),
            /cannot be fetched: .*rebox symbols add FILE/,
          );
        },
      );
      await assert.rejects(fetchSymbols(store, ["http://127.0.0.1:1"], identity), /cannot be fetched/);
      await withServer(
        (_, response) => refuse(response),
        async (address) => {
          assert.equal(await fetchSymbols(store, [address], identity), undefined);
        },
      );
      assert.equal(await fetchSymbols(store, [], identity), undefined);
      assert.deepEqual(store.list(), []);
    });
  },
);
