/**
 * The messages of the network block device protocol that reading a disk needs, as
 * https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md has them. All numbers are big-endian.
 */

export const GREETING_MAGIC = 0x4e42444d41474943n;
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
const REQUEST_MAGIC = 0x25609513;
export const REPLY_MAGIC = 0x67446698;

/** NBD_FLAG_FIXED_NEWSTYLE, and the client's flag of the same value. */
export const FIXED_NEWSTYLE = 1;
/** NBD_OPT_GO. */
const OPTION_GO = 7;
export const OPTION_REPLY_SIZE = 20;
export const REPLY_SIZE = 16;
export const REPLY_ACK = 1;
export const REPLY_INFO = 3;
/** NBD_REP_FLAG_ERROR. */
export const REPLY_ERROR_BIT = 0x80000000;
/** NBD_INFO_EXPORT: the size in bytes and what the export can do. */
export const INFO_EXPORT = 0;

const COMMAND_READ = 0;
const COMMAND_DISCONNECT = 2;

/** Makes the answer to the server's greeting, and the wish to use an export. */
export function makeHello(exportName: string): Buffer {
  const name = Buffer.from(exportName);
  const hello = Buffer.alloc(4 + 16 + 4 + name.length + 2);
  hello.writeUInt32BE(FIXED_NEWSTYLE, 0);
  hello.writeBigUInt64BE(OPTION_MAGIC, 4);
  hello.writeUInt32BE(OPTION_GO, 12);
  hello.writeUInt32BE(4 + name.length + 2, 16);
  hello.writeUInt32BE(name.length, 20);
  name.copy(hello, 24);
  return hello;
}

/** Makes the request for a piece of the disk. */
export function makeRead(cookie: bigint, offset: number, size: number): Buffer {
  return makeRequest(COMMAND_READ, cookie, offset, size);
}

/** Makes the request to end the connection, which has no answer. */
export function makeDisconnect(): Buffer {
  return makeRequest(COMMAND_DISCONNECT, 0n, 0, 0);
}

function makeRequest(command: number, cookie: bigint, offset: number, size: number): Buffer {
  const request = Buffer.alloc(28);
  request.writeUInt32BE(REQUEST_MAGIC, 0);
  request.writeUInt16BE(command, 6);
  request.writeBigUInt64BE(cookie, 8);
  request.writeBigUInt64BE(BigInt(offset), 16);
  request.writeUInt32BE(size, 24);
  return request;
}
