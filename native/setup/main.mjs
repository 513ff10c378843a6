import { join } from "node:path";
import { parseArgs } from "node:util";
import { withLock } from "./lock.mjs";
import { debugPackageOf, isSkippedKernel, TEST_KERNELS } from "./guest-kernel.mjs";
import { places } from "./places.mjs";
import { SetupError } from "./setup-error.mjs";
import { addonStep } from "./steps/addon.mjs";
import { aptStep, browserStep, databaseStep, labStep, PACKAGING_PACKAGES, TEST_PACKAGES } from "./steps/apt.mjs";
import { bundleStep } from "./steps/bundle.mjs";
import { drgnStep } from "./steps/drgn.mjs";
import { ext4Step } from "./steps/ext4.mjs";
import { firmwareStep } from "./steps/firmware.mjs";
import { guestStep, keptKernels } from "./steps/guest.mjs";
import { npmStep } from "./steps/npm.mjs";
import { nodesStep, rootStep, wheelsStep } from "./steps/roots.mjs";
import { objectServerStep } from "./steps/object-server.mjs";
import { packerStep } from "./steps/packer.mjs";
import { plainStep } from "./steps/plain.mjs";
import { profileStep } from "./steps/profile.mjs";
import { proxiesStep } from "./steps/proxies.mjs";
import { qemuStep } from "./steps/qemu.mjs";
import { typescriptStep } from "./steps/typescript.mjs";
import { referenceStep } from "./steps/reference-reader.mjs";
import { volatilityStep } from "./steps/volatility.mjs";
import { sanitizedNodeStep } from "./steps/sanitized-node.mjs";
import { systemStep } from "./steps/system.mjs";
import { tapStep } from "./steps/tap.mjs";
import { Task } from "./task.mjs";

const USAGE = `usage: node native/setup/main.mjs [--for demo|test|soak|package|bench|sanitize|guest|drgn] [--only javascript] [--kernel NAME]`;

/**
 * Chooses the steps for a purpose, in the order they must run.
 * @param {{for: string, only?: string, kernel?: string}} options
 * @returns {import("./step.js").Step[]}
 */
function stepsFor({ for: purpose, only, kernel }) {
  if (only === "javascript") return [npmStep(), typescriptStep(), bundleStep()];
  if (only !== undefined) throw new SetupError(`--only ${only}: the only choice is "javascript"\n${USAGE}`);
  const guests = [guestStep(), ...(kernel ? [guestStep(kernel), ...profileSteps([kernel])] : [])];
  const others = [...new Set([...TEST_KERNELS, ...keptKernels()])].filter(
    (name) => name !== kernel && !isSkippedKernel(name),
  );
  const testGuests = [
    ...others.map((name) => optional(guestStep(name))),
    ...profileSteps(others),
    optional(labStep()),
    optional(browserStep()),
    optional(packerStep()),
    optional(databaseStep()),
    optional(objectServerStep()),
    optional(proxiesStep()),
    optional(systemStep("trixie")),
    ...[optional(rootStep("bookworm")), optional(rootStep("trixie", { python: true })), optional(nodesStep())],
    ...[
      optional(referenceStep("sigma")),
      optional(referenceStep("export")),
      optional(referenceStep("api")),
      optional(referenceStep("karton")),
      optional(volatilityStep()),
      optional(wheelsStep()),
    ],
  ];
  const building = [
    npmStep(),
    firmwareStep(),
    qemuStep(),
    addonStep(),
    ext4Step(),
    tapStep(),
    typescriptStep(),
    bundleStep(),
    ...guests,
  ];
  const plans = {
    demo: [aptStep(), ...building],
    package: [aptStep(PACKAGING_PACKAGES), ...building],
    test: [aptStep([...TEST_PACKAGES, ...PACKAGING_PACKAGES]), ...building, ...testGuests],
    soak: [aptStep([...TEST_PACKAGES, ...PACKAGING_PACKAGES]), ...building, ...testGuests, optional(systemStep("bookworm"))], // prettier-ignore
    bench: [
      aptStep(),
      ...building,
      plainStep(),
      optional(volatilityStep()),
      optional(labStep()),
      optional(databaseStep()),
      optional(objectServerStep()),
      optional(systemStep("trixie")),
    ],
    drgn: [aptStep(), ...building, drgnStep()],
    sanitize: [
      aptStep([...TEST_PACKAGES, ...PACKAGING_PACKAGES]),
      npmStep(),
      sanitizedNodeStep(),
      firmwareStep(),
      // For qemu-img, and for what tests start without the sanitizer.
      ...[qemuStep(), addonStep()],
      qemuStep({ sanitize: true }),
      addonStep({ sanitize: true }),
      ext4Step(),
      tapStep(),
      typescriptStep(),
      bundleStep(),
      ...guests,
      ...testGuests,
    ],
    guest: [aptStep(), ...guests],
  };
  if (plans[purpose]) return plans[purpose];
  throw new SetupError(`--for ${purpose}: choose one of ${Object.keys(plans).join(", ")}\n${USAGE}`);
}

/** Makes the steps for the profiles that some kernels need. */
function profileSteps(kernels) {
  return kernels.flatMap((name) => {
    const debugPackage = debugPackageOf(name);
    return debugPackage === undefined ? [] : [optional(profileStep(name, debugPackage))];
  });
}

/** Makes a step without which one can go on: tests skip what they cannot boot, and say so. */
function optional(step) {
  return { ...step, isOptional: true };
}

/** Runs one step unless it is already done. */
async function perform(step) {
  if (await step.isDone()) return;
  const lock = step.sharesCache ? join(places.cache, "locks", step.name) : join(places.build, "locks", step.name);
  const waiting = (holder) => console.log(`${step.name}: waiting for another set-up (process ${holder})`);
  await withLock(lock, waiting, async () => {
    // The set-up we waited for may have done this step for us.
    if (await step.isDone()) return;
    const task = new Task(step.name);
    try {
      const outcome = await step.act(task);
      task.say(`${outcome} (${task.elapsed})`);
      await task.close();
    } catch (error) {
      await task.close();
      if (step.isOptional && error instanceof SetupError) {
        console.error(`${step.name}: left out: ${error.message} (log: ${task.logPath})`);
        return;
      }
      console.error(`\n${step.name}: FAILED: ${error instanceof SetupError ? error.message : error.stack}`);
      if (error.logHelps) console.error(`--- end of the log ---\n${task.tail()}\n---`);
      console.error(`log: ${task.logPath}`);
      process.exit(1);
    }
  });
}

try {
  const { values } = parseArgs({
    options: {
      for: { type: "string", default: "demo" },
      only: { type: "string" },
      kernel: { type: "string", default: process.env.REBOX_GUEST_KERNEL },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) console.log(USAGE);
  else for (const step of stepsFor(values)) await perform(step);
} catch (error) {
  const expected = error instanceof SetupError || error.code?.startsWith("ERR_PARSE_ARGS");
  console.error(`set-up: ${expected ? error.message : error.stack}`);
  process.exit(1);
}
