// Vercel's AI SDK, with its provider for OpenAI-compatible servers.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { QUESTION, TOKENS, V1, run } from "./checks.mjs";

const provider = createOpenAICompatible({ name: "ours", baseURL: V1, apiKey: "none", supportsStructuredOutputs: true });
const asked = { model: provider("default"), prompt: QUESTION, maxOutputTokens: TOKENS, maxRetries: 0 };
const getWeather = tool({
  description: "The weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `Rain in ${city}.`,
});

await run({
  chat: async () => (await generateText(asked)).text,
  stream: async () => {
    let text = "";
    for await (const piece of streamText(asked).textStream) text += piece;
    return text;
  },
  schema: async () =>
    (await generateObject({ ...asked, schema: z.object({ city: z.string(), degrees: z.number() }) })).object,
  tools: async () =>
    (await generateText({ ...asked, tools: { getWeather }, toolChoice: "required", stopWhen: stepCountIs(1) })).toolCalls
      .length,
  agent: async () => (await generateText({ ...asked, tools: { getWeather }, stopWhen: stepCountIs(3) })).steps.length,
});
