// What the programs of coding agents share: one turn of the agent, which nobody watches, in a home and a folder of its own.

import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const PACKAGES = join(import.meta.dirname, "node_modules");
export const HOME = mkdtempSync(join(tmpdir(), "agent-"));
const PATIENCE_MS = 120_000;

// What it said; throws with all its words where it failed.
export function said(command, args, environ = {}) {
  const { PATH, NO_PROXY, no_proxy } = process.env;
  const env = { PATH, NO_PROXY, no_proxy, HOME, ...environ };
  const done = spawnSync(command, args, {
    cwd: HOME, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: PATIENCE_MS,
  });
  if (done.status !== 0) throw new Error(`status ${done.status}: ${done.stdout} ${done.stderr}`.slice(-300));
  return done.stdout.trim();
}
