import assert from "node:assert/strict";
import { test } from "node:test";
import { findExpandedLabel, findKeyLogLabel, writeKeyLine } from "../../scripts/_tls_listener";
import { findClientRandom, findTranscriptRandom } from "../../scripts/_tls_records";

/** Of RFC 8448, section 3: the client's random bytes, and how the info of a secret of its handshake begins. */
const RANDOM = "cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7";
const INFO = "002012746c733133206320687320747261666669632000";
const HELLO = Buffer.concat([Buffer.from(`010000c00303${RANDOM}`, "hex"), Buffer.alloc(0xc0 - 34)]);

/** A message of a handshake: its type, its length of three bytes, and its content. */
const makeMessage = (type: number, size: number) => Buffer.from([type, 0, 0, size, ...Buffer.alloc(size, 1)]);

const asHex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("hex");

test("the client's random bytes are found in its first message, with the header of the record and without", () => {
  const record = Buffer.concat([Buffer.from("16030100c4", "hex"), HELLO]);
  assert.equal(asHex(findClientRandom(HELLO)), RANDOM);
  assert.equal(asHex(findClientRandom(record)), RANDOM);
  assert.equal(findClientRandom(HELLO.subarray(0, 37)), undefined);
  assert.equal(findClientRandom(makeMessage(2, 60)), undefined);
  assert.equal(findClientRandom(new Uint8Array()), undefined);
});

test("they are found in the messages that are hashed, also when the server has asked for another first message", () => {
  assert.equal(asHex(findTranscriptRandom(Buffer.concat([HELLO, makeMessage(2, 90)]))), RANDOM);
  const retried = Buffer.concat([makeMessage(254, 32), makeMessage(2, 88), HELLO]);
  assert.equal(asHex(findTranscriptRandom(retried)), RANDOM);
  assert.equal(findTranscriptRandom(makeMessage(254, 32)), undefined);
  assert.equal(findTranscriptRandom(Buffer.from([254, 255, 255, 255, 1])), undefined);
  assert.equal(findTranscriptRandom(new Uint8Array()), undefined);
});

test("a secret has the name that key logs give it, and what else is derived has none", () => {
  const info = Buffer.from(INFO, "hex");
  assert.equal(findExpandedLabel(info, 32), "CLIENT_HANDSHAKE_TRAFFIC_SECRET");
  assert.equal(findExpandedLabel(info, 48), undefined, "the info names another length");
  for (let length = 0; length < 21; length++) assert.equal(findExpandedLabel(info.subarray(0, length), 32), undefined);
  assert.equal(
    findExpandedLabel(Buffer.from("001009746c733133206b657900", "hex"), 16),
    undefined,
    "a key is no secret",
  );
  assert.equal(findKeyLogLabel("constructor"), undefined);
});

test("a line of a key log is the name, the client's random bytes and the secret", () => {
  const line = writeKeyLine({ label: "CLIENT_RANDOM", random: Buffer.from(RANDOM, "hex"), secret: new Uint8Array(2) });
  assert.equal(line, `CLIENT_RANDOM ${RANDOM} 0000\n`);
});
