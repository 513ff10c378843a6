import { type GuestRun, runGuest, scriptPrelude } from "./guest-run";

/**
 * Runs statements of a script on a guest that waits for keys, `onReady` once it does; then the machine ends. They have `cm`,
 * `print`, `untilTruth`, and `press(key)`, which returns when the key was let go, a little after that.
 *
 * @param onLoad statements for the moment at which the script is loaded
 */
export function runKeys(onReady: string, onLoad = ""): Promise<GuestRun> {
  return runGuest({
    task: "keys",
    script: (serial) => `
      import { CallbackManager, Engine, sendKey } from "rebox";
      ${scriptPrelude(serial)}
      // Codes of keys held at the same time would be mixed.
      const press = async (key: string) => {
        await sendKey(key, 20);
        await new Promise((resolve) => setTimeout(resolve, 150));
      };
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        ${onLoad}
        void (async () => {
          await untilTruth("keys.ready");
          ${onReady}
          await Engine.get().quit();
        })();
      }
      export const clean = (): void => cm.clean();
    `,
  });
}
