import * as v from "valibot";
import type { FakeAnswer, FakeRequest } from "../server.ts";
import {
  answerJson,
  checkQuery,
  type Item,
  makeToken,
  Refusal,
  readJson,
  requireNoBody,
  takePage,
  withEnds,
} from "./answers.ts";

/** The permissions of each fine-tuned model, oldest first. */
export type Permissions = Map<string, Item[]>;

/** Routes below `/fine_tuning/checkpoints/{model}/permissions`; `rest` is what follows. */
export function answerPermissions(
  permissions: Permissions,
  now: number,
  request: FakeRequest,
  model: string,
  rest: string,
): FakeAnswer | undefined {
  const items = permissions.get(model) ?? [];
  if (request.method === "GET" && rest === "") return listPermissions(items, request);
  if (request.method === "POST" && rest === "") {
    checkQuery(request, []);
    const { project_ids } = readJson(request, v.strictObject({ project_ids: v.array(v.string()) }));
    const added = project_ids.map((project_id) => ({
      object: "checkpoint.permission",
      id: `cp_${makeToken(24)}`,
      created_at: now,
      project_id,
    }));
    permissions.set(model, [...items, ...added]);
    return answerJson({ object: "list", ...withEnds({ data: added, has_more: false }) });
  }
  if (request.method !== "DELETE" || rest === "") return undefined;
  requireNoBody(request);
  if (!items.some(({ id }) => id === rest)) {
    throw new Refusal(404, `No such permission: ${rest}`, { param: "permission_id" });
  }
  permissions.set(
    model,
    items.filter(({ id }) => id !== rest),
  );
  return answerJson({ id: rest, object: "checkpoint.permission", deleted: true });
}

function listPermissions(items: readonly Item[], request: FakeRequest): FakeAnswer {
  requireNoBody(request);
  checkQuery(request, ["project_id", "after", "limit", "order"]);
  const order = request.query.get("order") ?? "descending";
  if (order !== "ascending" && order !== "descending") {
    throw new Refusal(400, "Invalid 'order'.", { param: "order" });
  }
  const project = request.query.get("project_id");
  const page = takePage(
    request,
    items.filter(({ project_id }) => project === null || project_id === project),
    { limit: 10, most: 1000, ascending: order === "ascending" },
  );
  return answerJson({ object: "list", ...withEnds(page) });
}
