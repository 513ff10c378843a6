/** The secrets of TLS connections as NSS derives them; for tls_plain. */
import { type FunctionCall, type FunctionDescription, type FunctionHook, hookFunction } from "rebox";
import { RecentMap } from "./_recent_map";
import { MOST_THREADS, TlsConnections } from "./_tls_connections";
import {
  findExpandedLabel,
  KEY_EXPANSION,
  MASTER_LABEL,
  MASTER_SIZE,
  RANDOM_SIZE,
  type TlsListener,
} from "./_tls_listener";
import { ProcessHooks } from "./_tls_process_hooks";
import { findTranscriptRandom } from "./_tls_records";

/** NSS' pk11pub.h: digests, of which the one of a handshake's messages is copied just before a secret is derived (tls13con.c). */
const DIGESTS: Readonly<Record<string, FunctionDescription>> = {
  PK11_DigestOp: { parameters: ["pointer", "pointer", "uint"], returns: "int" },
  PK11_CloneContext: { parameters: ["pointer"], returns: "pointer" },
  PK11_DestroyContext: { parameters: ["pointer", "int"], returns: "void" },
};
/**
 * The library that computes gives its functions in a list, behind the list's size and version of two bytes each; later versions
 * append (lib/freebl/loader.h: FREEBLVectorStr). The key never leaves it and the library that calls it, so its arguments are all there is.
 */
const HMAC_UPDATE = 141;
const HMAC_FINISH = 143;
const TLS_PRF = 136;
const TLS_P_HASH = 174;
const UPDATE: FunctionDescription = { parameters: ["pointer", "pointer", "uint"], returns: "int" };
const FINISH: FunctionDescription = { parameters: ["pointer", "pointer", "pointer", "uint"], returns: "int" };
const PRF: FunctionDescription = { parameters: ["pointer", "pointer", "pointer", "pointer"], returns: "int" };
/** A ClientHello begins with what is looked for. */
const LONGEST_BEGINNING = 4096;
const LONGEST_INFO = 256;
const LONGEST_SECRET = 64;

/** A digest of a handshake's messages. */
interface Digest {
  random?: Uint8Array;
}

/** What is being expanded in a thread. */
interface Expanded {
  readonly context: bigint;
  readonly label: string;
  readonly size: number;
}

/** Takes the secrets of NSS in the processes that begin to use it. */
export class NssSecrets {
  readonly #hooks: FunctionHook[];
  readonly #places = new ProcessHooks();
  readonly #digests = new TlsConnections<Digest>(() => ({}));
  /** By thread. */
  readonly #randoms = new RecentMap<number, Uint8Array>(MOST_THREADS);
  readonly #expanded = new RecentMap<number, Expanded>(MOST_THREADS);

  constructor(private readonly listener: TlsListener) {
    const digest = { onEnter: (call: FunctionCall) => this.#noteDigest(call) };
    const vector = { onLeave: (call: FunctionCall) => this.#watchVector(call) };
    this.#hooks = [
      hookFunction("libnss3.so*", "PK11_*", digest, { describe: (name) => DIGESTS[name] }),
      hookFunction("libfreebl*3.so*", "FREEBL_GetVecto*", vector, { parameters: [], returns: "pointer" }),
    ];
  }

  remove(): void {
    for (const hook of this.#hooks) hook.remove();
    this.#places.clear();
  }

  #noteDigest(call: FunctionCall): void {
    const [context = 0n, bytes = 0n] = call.rawArgs;
    if (call.name === "PK11_DestroyContext") {
      this.#digests.delete(call, context);
    } else if (call.name === "PK11_CloneContext") {
      const random = this.#digests.find(call, context)?.random;
      if (random) this.#randoms.set(call.tid, random);
      else this.#randoms.delete(call.tid);
    } else {
      const beginning = call.findBytes(bytes, Math.min(Number(call.args[2]), LONGEST_BEGINNING));
      const random = beginning && findTranscriptRandom(beginning);
      if (random) this.#digests.get(call, context).random = random;
    }
  }

  #watchVector(call: FunctionCall): void {
    const vector = call.result;
    if (typeof vector !== "bigint" || vector === 0n || this.#places.has(call)) return;
    const [low, high] = call.findBytes(vector, 2) ?? [0, 0];
    const size = low! | (high! << 8);
    const word = call.bits / 8;
    const places = [
      { index: HMAC_UPDATE, handlers: { onEnter: (one: FunctionCall) => this.#noteInfo(one) }, types: UPDATE },
      { index: HMAC_FINISH, handlers: { onLeave: (one: FunctionCall) => this.#takeExpanded(one) }, types: FINISH },
      { index: TLS_PRF, handlers: { onEnter: (one: FunctionCall) => this.#takeMaster(one, 0) }, types: PRF },
      { index: TLS_P_HASH, handlers: { onEnter: (one: FunctionCall) => this.#takeMaster(one, 1) }, types: PRF },
    ].flatMap(({ index, handlers, types }) => {
      const at = word + index * word;
      const address = at + word <= size ? call.findPointer(vector + BigInt(at)) : undefined;
      return address === undefined ? [] : [{ address, handlers, types }];
    });
    this.#places.set(call, places);
  }

  /** HKDF's last step hashes the name of the secret, and its number. */
  #noteInfo(call: FunctionCall): void {
    const [context = 0n, data = 0n] = call.rawArgs;
    const size = Number(call.args[2]);
    if (size < 2 || size > LONGEST_INFO) return;
    const info = call.findBytes(data, size);
    const wanted = info ? (info[0]! << 8) | info[1]! : 0;
    const label = info && wanted <= LONGEST_SECRET ? findExpandedLabel(info, wanted) : undefined;
    if (label !== undefined) this.#expanded.set(call.tid, { context, label, size: wanted });
  }

  #takeExpanded(call: FunctionCall): void {
    const [context, output = 0n] = call.rawArgs;
    const expanded = this.#expanded.get(call.tid);
    if (expanded === undefined || expanded.context !== context) return;
    this.#expanded.delete(call.tid);
    const random = this.#randoms.get(call.tid);
    const secret = call.abandoned === undefined ? call.findBytes(output, expanded.size) : undefined;
    if (random && secret) this.listener.onSecret({ label: expanded.label, random, secret });
  }

  /** @param first the index of the parameter with the master secret; label and seed follow */
  #takeMaster(call: FunctionCall, first: number): void {
    const [secret = 0n, label = 0n, seed = 0n] = call.rawArgs.slice(first);
    if (call.findText(label, KEY_EXPANSION.length + 1) !== KEY_EXPANSION) return;
    const master = readItem(call, secret, MASTER_SIZE);
    const random = readItem(call, seed, 2 * RANDOM_SIZE)?.slice(RANDOM_SIZE);
    if (master && random) this.listener.onSecret({ label: MASTER_LABEL, random, secret: master });
  }
}

/** Reads bytes of a SECItem (seccomon.h: the type, an address, and a size); undefined when they are of another size. */
function readItem(call: FunctionCall, address: bigint, size: number): Uint8Array | undefined {
  const word = BigInt(call.bits / 8);
  const data = call.findPointer(address + word);
  const [low, high, ...more] = call.findBytes(address + 2n * word, 4) ?? [];
  const isSize = low === size && high === 0 && more.every((byte) => byte === 0);
  return data !== undefined && isSize ? call.findBytes(data, size) : undefined;
}
