// Anthropic's coding agent: a question with its tools on offer, whole and as a stream of events.

import { join } from "node:path";
import { PACKAGES, said } from "./agents.mjs";
import { QUESTION, URL_OF_SERVER, run } from "./checks.mjs";

const claude = join(PACKAGES, "@anthropic-ai/claude-code/cli-wrapper.cjs");
const environ = {
  ANTHROPIC_BASE_URL: URL_OF_SERVER,
  ANTHROPIC_AUTH_TOKEN: "none",
  ANTHROPIC_MODEL: "default",
  ANTHROPIC_SMALL_FAST_MODEL: "default",
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
};

await run({
  chat: async () => said("node", [claude, "--print", QUESTION], environ),
  stream: async () => {
    const events = ["--output-format", "stream-json", "--verbose", "--include-partial-messages"];
    return said("node", [claude, "--print", ...events, QUESTION], environ).includes("content_block_delta");
  },
});
