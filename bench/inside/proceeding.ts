/** Waits until the measuring process says that it is time for the next step. */
export function waitToProceed(): Promise<void> {
  return new Promise((resolve) => {
    process.once("message", () => resolve());
  });
}
