import { WayInError } from "../errors";
import type { ScriptResult } from "./guest-way";

/**
 * The Python program that runs a script for an agent, in Python 2.7 and 3: agents of Cuckoo run in the former. It reads what to
 * run from the file `request` beside it, and writes the end of it under a name that is there as a whole or not at all.
 */
export const AGENT_PROGRAM = `import base64, json, os, subprocess, tempfile

MOST = 1 << 20
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "request")) as f:
    request = json.load(f)
more = {}
if request.get("cwd"):
    more["cwd"] = request["cwd"]
if request.get("env"):
    more["env"] = dict(os.environ, **dict((str(key), str(value)) for key, value in request["env"].items()))
end = {}
output = tempfile.TemporaryFile(dir=here)
try:
    with open(os.devnull, "rb") as nothing:
        end["status"] = subprocess.call(request["args"], stdin=nothing, stdout=output, stderr=output, **more)
except Exception as error:
    end["error"] = str(error)
size = output.seek(0, 2) or output.tell()
output.seek(max(0, size - MOST))
end["output"] = base64.b64encode(output.read(MOST)).decode("ascii")
with open(request["end"] + ".new", "w") as f:
    json.dump(end, f)
os.rename(request["end"] + ".new", request["end"])
`;

/** Reads what the program has written. @throws WayInError when it could not run the script, or something else has written it */
export function parseAgentEnd(written: Buffer): ScriptResult {
  let end: { readonly status?: unknown; readonly error?: unknown; readonly output?: unknown };
  try {
    end = JSON.parse(written.toString("utf8")) as typeof end;
  } catch {
    end = {};
  }
  const { status, error, output } = end ?? {};
  if (typeof error === "string") throw new WayInError(`the script cannot be run in the guest: ${error}`);
  if (typeof status !== "number" || typeof output !== "string") {
    throw new WayInError("what the agent gives as the end of a script is none");
  }
  // Python has the negative number of the signal, a shell 128 and the number.
  return {
    status: status < 0 ? 128 - status : status,
    output: Buffer.from(output, "base64").toString("utf8"),
  };
}
