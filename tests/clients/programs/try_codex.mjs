// OpenAI's coding agent, which speaks the Responses API: a question, its shell called once, the answer to that.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HOME, PACKAGES, said } from "./agents.mjs";
import { QUESTION, V1, run } from "./checks.mjs";

const config = `model = "default"
model_provider = "ours"

[model_providers.ours]
name = "ours"
base_url = "${V1}"
wire_api = "responses"
`;
mkdirSync(join(HOME, ".codex"));
writeFileSync(join(HOME, ".codex/config.toml"), config);
const codex = join(PACKAGES, "@openai/codex/bin/codex.js");

await run({
  agent: async () => said("node", [codex, "exec", "--skip-git-repo-check", "--sandbox", "read-only", QUESTION]),
});
