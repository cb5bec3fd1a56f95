// The openai SDK for node.

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { QUESTION, TOKENS, V1, run } from "./checks.mjs";

const client = new OpenAI({ baseURL: V1, apiKey: "none", maxRetries: 0 });
const asked = { model: "default", messages: [{ role: "user", content: QUESTION }], max_tokens: TOKENS };
const Weather = z.object({ city: z.string(), degrees: z.number().int() });
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tool = { type: "function", function: { name: "get_weather", parameters } };

await run({
  chat: async () => (await client.chat.completions.create(asked)).choices[0].message.content,
  stream: async () => {
    let text = "";
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
      text += chunk.choices[0]?.delta?.content ?? "";
    }
    return text;
  },
  schema: async () => {
    const response_format = zodResponseFormat(Weather, "weather");
    return (await client.chat.completions.parse({ ...asked, response_format })).choices[0].message.parsed;
  },
  tools: async () => {
    const answer = await client.chat.completions.create({ ...asked, tools: [tool], tool_choice: "required" });
    return answer.choices[0].message.tool_calls.length;
  },
  responses: async () =>
    (await client.responses.create({ model: "default", input: QUESTION, max_output_tokens: TOKENS })).output_text,
  errors: async () => {
    try {
      await client.chat.completions.create({ ...asked, temperature: 9 });
    } catch (error) {
      return error.status === 400 && error.param === "temperature";
    }
  },
});
