/**
 * Writes messages of Protocol Buffers: https://protobuf.dev/programming-guides/encoding/. Each function makes the bytes of one field,
 * and a message is its fields in any order.
 */

const WIRE_VARINT = 0;
const WIRE_LENGTH = 2;

/** Makes a field that is a number from 0, or a negative one of 64 bits. */
export function numberField(field: number, value: number | bigint): Buffer {
  return Buffer.from([
    ...varint(BigInt(field << 3) | BigInt(WIRE_VARINT)),
    ...varint(BigInt.asUintN(64, BigInt(value))),
  ]);
}

/** Makes a field that is text. */
export function textField(field: number, text: string): Buffer {
  return withLength(field, Buffer.from(text));
}

/** Makes a field that is a message. */
export function messageField(field: number, ...fields: readonly Buffer[]): Buffer {
  return withLength(field, Buffer.concat(fields));
}

function withLength(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from([...varint(BigInt(field << 3) | BigInt(WIRE_LENGTH)), ...varint(BigInt(bytes.length))]),
    bytes,
  ]);
}

/** Seven bits in each byte, the low ones first; all but the last have the highest bit set. */
function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return bytes;
}
