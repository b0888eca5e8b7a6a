import type { Provider } from "../src/provider.ts";
import azure from "./azure/index.ts";
import fireworks from "./fireworks/index.ts";
import local from "./local/index.ts";
import openai from "./openai.ts";
import together from "./together/index.ts";
import vertexAi from "./vertex_ai/index.ts";

/** The built-in providers by the name that `custom_llm_provider` gives them. */
export const providers: Readonly<Record<string, Provider>> = {
  openai,
  azure,
  vertex_ai: vertexAi,
  together,
  fireworks,
  local,
};

/** The provider that serves, without options, where no configuration names any. */
export const defaultProvider = "local";

/** The provider whose first backend takes uploads without a hint, where it is configured. */
export const preferredProvider = "openai";
