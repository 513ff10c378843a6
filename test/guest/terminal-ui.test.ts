import assert from "node:assert/strict";
import { test } from "node:test";
import type { TmuxTerminal } from "./tmux-terminal";
import type { ShownGuest } from "./ui-screen-reader";
import { UiRun } from "./ui-run";

type Row = Record<string, string>;

/** Waits until the panes show the guest where it stands now. */
async function readPanes(run: UiRun, terminal: TmuxTerminal = run.terminal): Promise<ShownGuest> {
  const rip = (await run.monitorRegisters()).get("RIP");
  const rows = await terminal.until("the place where the guest stands", (screen, shown) => {
    const { registers, code } = terminal.read(shown);
    const isThere = registers.get("RIP") === rip && code.some(({ address, isCurrent }) => isCurrent && address === rip);
    return isThere && /rebox: paused/.test(screen) && !screen.includes("sampled") && !screen.includes("waits for");
  });
  return terminal.read(rows);
}

/** Lets the guest's shell read a line, and waits until a breakpoint in that has paused the guest. */
async function stopAtRead(run: UiRun): Promise<void> {
  await run.untilGuestPrompt();
  await run.terminal.until("a process", (screen) => /running \| vCPU 0 \| sh:/.test(screen));
  await run.terminal.enter("bp kernel!ksys_read once");
  await run.terminal.until("the breakpoint", (screen) => /breakpoint \d+ at 0x/.test(screen));
  run.client.sendToConsole("ls\r");
  await run.untilState("paused");
}

test("at a breakpoint the panes show what QEMU's own monitor says, and a step marks what it has changed", async () => {
  await UiRun.with({ columns: 110, rows: 44 }, async (run) => {
    await stopAtRead(run);
    const [{ address }] = await run.data<[Row]>("ln kernel!ksys_read");
    const first = await readPanes(run);
    const monitor = await run.monitorRegisters();
    assert.equal(first.registers.get("RIP"), BigInt(address!));
    const compared = [...first.registers.keys()].filter((name) => monitor.has(name));
    assert.ok(compared.length >= 17, compared.join());
    for (const name of compared) assert.equal(first.registers.get(name), monitor.get(name), name);

    const code = first.code.slice(first.code.findIndex(({ isCurrent }) => isCurrent));
    const listing = await run.data<string>(`hmp x /${code.length}i 0x${first.registers.get("RIP")!.toString(16)}`);
    // Bytes that find no room in a line are in the next one, without an instruction.
    const lines = [...listing.matchAll(/^0x([0-9a-f]+): {2}(.{2,23}) ?(.*?)\r?$/gm)].filter(
      ([, , , text]) => text !== "",
    );
    const places = lines.map(([, at]) => BigInt(`0x${at}`));
    assert.ok(code.length >= 5);
    assert.deepEqual(
      code.map((row) => row.address),
      places,
    );
    const words = await run.data<string>(`hmp x /${first.stack.length}gx 0x${monitor.get("RSP")!.toString(16)}`);
    assert.ok(first.stack.length >= 5);
    assert.deepEqual(
      first.stack.map(({ value }) => value),
      [...words.matchAll(/ 0x([0-9a-f]{16})/g)].map(([, value]) => BigInt(`0x${value}`)),
    );
    assert.match(first.stack[0]!.name, /^kernel!do_syscall_64\+0x/);
    const [line] = first.memory;
    const bytes = await run.data<string>(`hmp x /${line!.bytes.length}bx 0x${line!.address.toString(16)}`);
    assert.equal(line!.address, monitor.get("RIP"));
    assert.deepEqual(
      line!.bytes,
      [...bytes.matchAll(/ 0x([0-9a-f]{2})\b/g)].map(([, value]) => Number.parseInt(value!, 16)),
    );

    let before = first;
    for (let step = 0; step < 4; step++) {
      const rip = before.registers.get("RIP");
      await run.terminal.press("F11");
      await run.terminal.until("a step", (_, rows) => run.terminal.read(rows).registers.get("RIP") !== rip);
      const after = await readPanes(run);
      assert.equal(after.registers.get("RIP"), code[step + 1]!.address);
      assert.deepEqual(
        after.changed,
        [...after.registers.keys()].filter((name) => after.registers.get(name) !== before.registers.get(name)),
      );
      before = after;
    }
    assert.ok(before.stack.some(({ isChanged }) => isChanged) || before.changed.includes("RSP"));
    await run.terminal.press("F12");
    const returned = first.stack[0]!.value;
    await run.terminal.until("the caller", (_, rows) => run.terminal.read(rows).registers.get("RIP") === returned);
    assert.equal((await run.monitorRegisters()).get("RIP"), returned);
  });
});
