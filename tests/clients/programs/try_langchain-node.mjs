// LangChain for node.

import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { QUESTION, TOKENS, V1, run } from "./checks.mjs";

const model = new ChatOpenAI({
  model: "default",
  apiKey: "none",
  maxTokens: TOKENS,
  maxRetries: 0,
  configuration: { baseURL: V1 },
});
const getWeather = tool(async ({ city }) => `Rain in ${city}.`, {
  name: "get_weather",
  description: "The weather in a city.",
  schema: z.object({ city: z.string() }),
});

await run({
  chat: async () => (await model.invoke(QUESTION)).content,
  stream: async () => {
    let text = "";
    for await (const chunk of await model.stream(QUESTION)) text += chunk.content;
    return text;
  },
  schema: async () =>
    await model.withStructuredOutput(z.object({ city: z.string(), degrees: z.number() })).invoke(QUESTION),
  tools: async () =>
    (await model.bindTools([getWeather], { tool_choice: "required" }).invoke(QUESTION)).tool_calls.length,
  batch: async () => (await model.batch([QUESTION, "Hi"])).length,
});
