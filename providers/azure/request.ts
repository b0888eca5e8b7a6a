import { type ApiError, badRequest } from "../../src/errors.ts";
import type { Fields, JobRequest } from "../../src/provider.ts";
import { isOlder, methodVersion, type Surface } from "./surface.ts";

/** Open models, which Azure trains with this `trainingType` only and refuses without it. */
const openModel = /^(gpt-oss|ministral|mistral|qwen|(meta-)?llama)/i;
const openModelTraining = "globalStandard";

/**
 * The body that creates a job on a surface. The classic API has numbers where OpenAI has "auto",
 * and no nulls: what is left out there means the same. `trainingType` is for requests without one.
 */
export function translateJob(
  request: JobRequest,
  surface: Surface,
  trainingType: string | undefined,
): Fields {
  if (request.suffix && !/^[\w-]{1,40}$/.test(request.suffix)) {
    throw badRequest(
      'Cannot create the job: Azure takes at most 40 letters, digits, "-" and "_" as a suffix',
      "suffix",
    );
  }
  const training = chooseTraining(request, surface, trainingType);
  if (surface.version === undefined) return { ...request, ...training };
  const { metadata, integrations, method, hyperparameters, ...rest } = request;
  if (metadata && Object.keys(metadata).length > 0) {
    throw badRequest(
      'Cannot create the job: the classic API has no metadata; the v1 API takes it (api_version: "v1")',
      "metadata",
    );
  }
  if (integrations?.length && isOlder(surface)) {
    throw lacking("create the job", "integrations", surface);
  }
  return dropNulls({
    ...rest,
    ...training,
    integrations: integrations?.length ? integrations : null,
    ...translateMethod(method, dropAuto(hyperparameters), surface),
  });
}

function chooseTraining(
  { trainingType: asked, model }: JobRequest,
  surface: Surface,
  usual: string | undefined,
): Fields {
  if (asked !== undefined && asked !== null) {
    if (typeof asked !== "string" || asked === "") {
      throw badRequest(
        'Cannot create the job: "trainingType" must be a string such as "globalStandard"',
        "trainingType",
      );
    }
    if (isOlder(surface)) throw lacking("create the job", "trainingType", surface);
    return { trainingType: asked };
  }
  const needed = usual ?? (openModel.test(model) ? openModelTraining : undefined);
  return { trainingType: isOlder(surface) ? undefined : needed };
}

function translateMethod(
  method: JobRequest["method"],
  shared: Fields | undefined,
  surface: Surface,
): Fields {
  if (method === undefined) return { hyperparameters: shared };
  const own = `method.${method.type}`;
  const { hyperparameters, ...others } = readFields(method[method.type], own);
  const numbers = dropAuto(readFields(hyperparameters, `${own}.hyperparameters`));
  if (!isOlder(surface)) {
    if (shared !== undefined) {
      throw badRequest(
        `Cannot create the job: beside "method", its hyperparameters belong in ${own}.hyperparameters`,
        "hyperparameters",
      );
    }
    return {
      method: { ...method, [method.type]: dropNulls({ ...others, hyperparameters: numbers }) },
    };
  }
  if (method.type !== "supervised") throw lacking("create the job", "method.type", surface);
  const [lost] = [
    ...Object.keys(others).map((name) => `${own}.${name}`),
    ...Object.keys(method).flatMap((name) =>
      /^(type|supervised)$/.test(name) ? [] : `method.${name}`,
    ),
  ];
  if (lost !== undefined) throw lacking("create the job", lost, surface);
  return { hyperparameters: numbers === undefined ? shared : { ...shared, ...numbers } };
}

function readFields(value: unknown, param: string): Fields {
  if (value === undefined || value === null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return { ...value };
  throw badRequest(`Cannot create the job: "${param}" must be an object`, param);
}

function dropAuto(fields: Fields | undefined): Fields | undefined {
  const kept = Object.entries(fields ?? {}).filter(
    ([, value]) => value !== "auto" && value !== null,
  );
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

function dropNulls(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== null && value !== undefined),
  );
}

/** The 400 for a field that a version of the classic API is too old for. */
export function lacking(action: string, param: string, surface: Surface): ApiError {
  return badRequest(
    `Cannot ${action}: version ${surface.version} of Azure's API does not have "${param}"; ${methodVersion} and the v1 API do`,
    param,
  );
}
