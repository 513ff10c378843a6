import assert from "node:assert/strict";
import { test } from "node:test";
import { RecentMap } from "../../scripts/_recent_map";
import { TlsConnections } from "../../scripts/_tls_connections";

test("a recent map forgets what was not used for the longest time, and keeps as many as it may", () => {
  const map = new RecentMap<string, number>(2);
  map.set("one", 1);
  map.set("two", 2);
  assert.equal(map.get("one"), 1);
  map.set("three", 3);
  assert.deepEqual([map.get("one"), map.get("two"), map.get("three"), map.size], [1, undefined, 3, 2]);
  map.set("one", 4);
  map.set("five", 5);
  assert.deepEqual([map.get("one"), map.get("three"), map.get("five")], [4, undefined, 5]);
  assert.ok(map.delete("one") && !map.delete("one"));
});

test("connections are those of a process, also when another one has its address space, and used ones outlive others", () => {
  let made = 0;
  const connections = new TlsConnections<{ id: number }>(() => ({ id: made++ }));
  const first = { pid: 10, pgd: 0x1000n };
  const later = { pid: 11, pgd: 0x1000n };
  assert.equal(connections.get(first, 5n).id, 0);
  assert.equal(connections.find(later, 5n), undefined);
  assert.equal(connections.get(later, 5n).id, 1);
  for (let connection = 0n; connection < 10_050n; connection++) {
    connections.get({ pid: 12, pgd: 0x2000n }, connection);
    connections.get(first, 5n);
  }
  assert.equal(connections.find(first, 5n)?.id, 0);
  assert.equal(connections.find(later, 5n), undefined);
});
