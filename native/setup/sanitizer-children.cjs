"use strict";
// Loaded into every Node of the sanitizer tests (NODE_OPTIONS). The preloaded sanitizer is for Node alone: QEMU's own programs and browsers
// switch stacks in a way that makes them hang under it, so they are started without it.
const children = require("node:child_process");
const { basename } = require("node:path");

const isForeign = (file) => /^(?:qemu-|chrom|headless)/.test(basename(String(file)));
const isPreload = (pair) => pair.startsWith("LD_PRELOAD=");

const { spawn } = children.ChildProcess.prototype;
children.ChildProcess.prototype.spawn = function (options) {
  if (isForeign(options.file)) options.envPairs = options.envPairs?.filter((pair) => !isPreload(pair));
  return spawn.call(this, options);
};

for (const name of ["spawnSync", "execFileSync"]) {
  const original = children[name];
  children[name] = (file, ...rest) => {
    if (!isForeign(file)) return original(file, ...rest);
    const args = Array.isArray(rest[0]) ? rest[0] : [];
    const options = rest.find((each) => each !== null && typeof each === "object" && !Array.isArray(each)) ?? {};
    const { LD_PRELOAD: _, ...env } = options.env ?? process.env;
    return original(file, args, { ...options, env });
  };
}
