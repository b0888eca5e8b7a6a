import { upstreamKey } from "../upstream/answers.ts";
import { type Target, upstreamRoutes } from "./target.ts";

/** No proxy: the client calls the upstream itself. */
export const direct: Target = {
  name: "direct",
  routes: upstreamRoutes,
  install: async () => "",
  start: async ({ upstream }) => ({
    url: upstream,
    headers: { authorization: `Bearer ${upstreamKey}` },
    process: undefined,
    stop: async () => undefined,
  }),
};
