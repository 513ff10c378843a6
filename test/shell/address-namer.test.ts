import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluate } from "../../src/shell/commands/arguments/expression";
import { AddressNamer } from "../../src/shell/commands/rendering/address-namer";
import { CodePane } from "../../src/shell/ui/panes/code-pane";
import type { GuestModule } from "../../src/systems/guest-system";
import type { LinuxGuest } from "../../src/systems/linux/linux-guest";

const SPACE = 0x1000n;
const MAIN = 0x401000n;

function createModule(name: string, base: bigint): GuestModule {
  const end = base + 0x10000n;
  return {
    name,
    path: `/bin/${name}`,
    base,
    size: 0x10000,
    contains: (address: bigint) => address >= base && address < end,
  } as GuestModule;
}

const STRIPPED = createModule("bad-tool", 0x500000n);
const MODULES = [createModule("tool", 0x400000n), STRIPPED];

/** A guest of two programs' modules in one address space, one of which has a symbol. */
const GUEST = {
  symbols: {
    getModules: (pgd: bigint) => (pgd === SPACE ? MODULES : []),
    findSymbol: (pgd: bigint, address: bigint) =>
      pgd === SPACE && address >= MAIN && address < 0x410000n
        ? { name: "main", address: MAIN, size: 16, type: "T", module: "tool" }
        : undefined,
  },
} as unknown as LinuxGuest;

const NAMES = {
  findRegister: () => undefined,
  findVariable: () => undefined,
  findSymbol: (module: string | undefined, name: string) =>
    name === "main" ? MAIN : MODULES.find((one) => name === "" && one.name === module)?.base,
};

test("code has its symbol, code without one its module and offset, and other memory no name; names can be typed back", () => {
  const namer = new AddressNamer(GUEST, SPACE);
  const expected = {
    [String(MAIN)]: "tool!main",
    [String(MAIN + 0x24n)]: "tool!main+0x24",
    // In front of the first symbol.
    [String(0x400010n)]: "tool!+0x10",
    [String(STRIPPED.base)]: "bad-tool!",
    [String(STRIPPED.base + 0x123n)]: "bad-tool!+0x123",
  };
  for (const [address, name] of Object.entries(expected)) {
    assert.equal(namer.find(BigInt(address)), name);
    assert.equal(evaluate(name, NAMES), BigInt(address));
  }
  assert.equal(namer.find(0x900000n), undefined);
  assert.equal(new AddressNamer(GUEST, 0n).find(MAIN), undefined);
  assert.throws(() => evaluate("no-tool!+0x10", NAMES), /no module no-tool here/);
});

test("the code pane shows how far code without symbols is in its module, and where it calls", () => {
  const pane = new CodePane();
  const row = {
    address: "0x500123",
    symbol: "bad-tool!+0x123",
    bytes: "e8",
    instruction: "call 0x500200  ; bad-tool!+0x200",
  };
  const answer = (data: unknown) => ({ text: "", data }) as never;
  pane.receive([answer({ pc: "0x500123" }), answer([]), answer([]), answer([row])], { isRunning: false } as never);
  assert.equal(pane.title, "bad-tool!+0x123");
  const [line] = pane.render({ width: 80, height: 4 });
  assert.match(JSON.stringify(line), /=> 0000000000500123 \+123 +call bad-tool!\+0x200/);
});
