import { Engine } from "../../../machine/engine/engine";
import { findInstructionCount } from "../../../machine/state/instruction-count";
import { findStillMachine } from "../../../machine/state/machine-access";
import { readIoPort, writeIoPort } from "../../../machine/state/memory";
import { loadVm, saveVm } from "../../../machine/state/snapshots";
import { type Command, defineCommand } from "../command";
import { CommandError } from "../../errors";
import { textResult, toCommandValue } from "../command-result";
import { evaluate } from "../arguments/expression";
import { readJsonObject } from "../arguments/typed-values";

const PORTS = [
  { letter: "b", size: 1 },
  { letter: "w", size: 2 },
  { letter: "d", size: 4 },
] as const;

export const MACHINE_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "cont",
    isForLiving: true,
    aliases: ["c", "continue"],
    help: "Lets the guest go on.",
    parse: (input) => input.end(),
    run: async (_, session) => {
      if (session.isInterrupted) return textResult("interrupted before the guest went on");
      const engine = Engine.get();
      session.release?.();
      // Held by a callback, it may be paused besides.
      if (!session.release || engine.state === "paused") await engine.resume();
      return textResult("the guest goes on");
    },
  }),
  defineCommand({
    name: "pause",
    isForLiving: true,
    aliases: ["stop"],
    help: "Pauses the guest.",
    parse: (input) => input.end(),
    run: async (_, session) => {
      await Engine.get().pause();
      const at = session.codeAddress;
      const name = session.createNamer().find(at);
      const text = `the guest stands still at 0x${at.toString(16)}${name === undefined ? "" : `, ${name}`}`;
      return { kind: "data", text, data: { address: at, symbol: name } };
    },
  }),
  defineCommand({
    name: "status",
    help: "Tells whether the guest runs, and what the session looks at.",
    parse: (input) => input.end(),
    run: (_, session) => {
      const image = findStillMachine();
      const state = image ? "image" : Engine.get().state;
      const running = image ? undefined : session.findRunningProcess();
      const data = {
        state,
        cpu: session.cpuIndex,
        pgd: session.pgd,
        process: session.process && { ...session.process },
        running: running && { pid: running.pid, name: running.name },
        pc: image ? undefined : session.codeAddress,
        instructions: image ? undefined : findInstructionCount(),
      };
      const text = `the guest is ${image ? `the image ${image.path}` : state}; vCPU ${data.cpu}, pgd 0x${data.pgd.toString(16)}${data.instructions === undefined ? "" : `, instruction ${data.instructions}`}`;
      return { kind: "data", text, data };
    },
  }),
  defineCommand({
    name: "quit",
    aliases: ["q", "exit"],
    help: "Ends the shell; the guest goes on. Ending the machine: quit machine.",
    parse: (input) => input.find(),
    run: async (what, session) => {
      if (what !== undefined && what !== "machine") throw new CommandError('quit takes nothing, or "machine"');
      if (what !== undefined && findStillMachine())
        throw new CommandError("this is an image: no machine runs; quit ends the shell");
      session.wantsEnd = true;
      if (what === undefined) return { kind: "data", text: "", data: { ends: "shell" } };
      // It ends by itself, when this command has been answered.
      setImmediate(() => void Engine.get().quit());
      return { kind: "data", text: "the machine ends", data: { ends: "machine" } };
    },
  }),
  defineCommand({
    name: "savevm",
    isForLiving: true,
    usage: "NAME",
    help: "Saves a snapshot of the machine into its disk image (qcow2).",
    parse: (input) => input.get("the name of a snapshot"),
    run: async (name) => {
      await saveVm(name);
      return textResult(`saved ${name}`);
    },
  }),
  defineCommand({
    name: "loadvm",
    isForLiving: true,
    usage: "NAME",
    help: "Loads a snapshot of the machine.",
    parse: (input) => input.get("the name of a snapshot"),
    run: async (name) => {
      await loadVm(name);
      return textResult(`loaded ${name}`);
    },
  }),
  defineCommand({
    name: "hmp",
    isForLiving: true,
    usage: "LINE",
    help: "Carries out a command of QEMU's own monitor.",
    parse: (input) => input.rest(),
    run: async (line) => textResult((await Engine.get().hmp(line)).replace(/\r\n/g, "\n")),
  }),
  defineCommand({
    name: "qmp",
    isForLiving: true,
    usage: "COMMAND [ARGUMENTS]",
    help: 'Carries out a command of QMP; its arguments are JSON: qmp screendump {"filename": "/tmp/a.ppm"}',
    parse: (input) => ({
      command: input.get("a command of QMP"),
      args: readJsonObject("the arguments of qmp", input.rest()),
    }),
    run: async ({ command, args }) => {
      const value = await Engine.get().qmp(command, args);
      return { kind: "data", text: JSON.stringify(value, undefined, 2), data: toCommandValue(value) };
    },
  }),
  ...PORTS.flatMap(({ letter, size }) => [
    defineCommand({
      name: `ior${letter}`,
      isForLiving: true,
      usage: "PORT",
      help: `Reads ${size} bytes of an I/O port, with the effect that this has on the device.`,
      parse: (input, session) => Number(evaluate(input.get("a port"), session)),
      run: (port) => {
        const value = BigInt(readIoPort(port, size));
        return { kind: "data", text: `0x${value.toString(16).padStart(size * 2, "0")}`, data: { port, value } };
      },
    }),
    defineCommand({
      name: `iow${letter}`,
      isForLiving: true,
      usage: "PORT=VALUE",
      help: `Writes ${size} bytes to an I/O port.`,
      parse: (input, session) => {
        const [port, value, ...more] = input.rest().split("=");
        if (!port || !value || more.length > 0) throw new CommandError(`iow${letter} needs PORT=VALUE`);
        const number = evaluate(value, session);
        if (number >> BigInt(size * 8) !== 0n)
          throw new CommandError(`0x${number.toString(16)} does not fit into ${size} bytes`);
        return { port: Number(evaluate(port, session)), value: Number(number) };
      },
      run: ({ port, value }) => {
        writeIoPort(port, size, value);
        return textResult("");
      },
    }),
  ]),
];
