import { jobNotFound } from "../../src/errors.ts";
import type { Fields } from "../../src/provider.ts";
import type { Path } from "../../src/upstream/client.ts";
import { AnyObject } from "../../src/upstream/objects.ts";
import { readTokenPages } from "../../src/upstream/token-pages.ts";
import type { Context } from "./context.ts";
import { fromGsUri, fromJobId, toJobId } from "./ids.ts";
import type { JobNames } from "./job-objects.ts";
import { TuningJob } from "./tuning-job.ts";

/** The tuning jobs of one project and location, as Google has them. */
export interface JobStore {
  create(body: Fields, signal: AbortSignal): Promise<TuningJob>;
  /** Throws OpenAI's 404 for an id that has not their form. */
  get(id: string, signal: AbortSignal): Promise<TuningJob>;
  /** Page by page, in the order that Google has them. */
  list(signal: AbortSignal): AsyncIterable<TuningJob>;
  /** Asks for the end of a job, which comes later. */
  cancel(id: string, signal: AbortSignal): Promise<void>;
}

const maxPageSize = 100;

/** Makes the client for the jobs of the configured project and location; contacts nothing. */
export function connectJobs({ settings, tuning: upstream }: Context): JobStore {
  const { vertex_project: project, vertex_location: location } = settings;
  const collectionIn = (place: string) => ["projects", project, "locations", place, "tuningJobs"];
  const collection = collectionIn(location);

  function toPath(id: string, action = ""): Path {
    const place = fromJobId(id, location);
    if (place === undefined) throw jobNotFound(id);
    return [...collectionIn(place.location), `${place.number}${action}`];
  }

  return {
    create: (body, signal) => upstream.post(collection, body, TuningJob, signal),
    async get(id, signal) {
      return await upstream.get(toPath(id), {}, TuningJob, signal);
    },
    list: (signal) =>
      readTokenPages(
        upstream,
        collection,
        { pageSize: maxPageSize },
        "tuningJobs",
        TuningJob,
        signal,
      ),
    async cancel(id, signal) {
      await upstream.post(toPath(id, ":cancel"), {}, AnyObject, signal);
    },
  };
}

/** How the names of one account's jobs and files become ids. */
export function makeNames({ settings, storage }: Context): JobNames {
  const jobId = (name: string) => {
    const [, , , location = "", , number = ""] = name.split("/");
    return toJobId({ location, number }, settings.vertex_location);
  };
  return {
    jobId,
    fileId: (uri) => fromGsUri(uri, storage?.folder),
    resultFileId: (name) => toResultFileId(jobId(name)),
    configuredLabels: settings.labels,
  };
}

const resultPrefix = "file-results-";

function toResultFileId(jobId: string): string {
  return resultPrefix + jobId.replace(/^ftjob-/, "");
}

/** The id of the job whose results a file has; undefined for the id of any other file. */
export function fromResultFileId(id: string): string | undefined {
  return id.startsWith(resultPrefix) ? `ftjob-${id.slice(resultPrefix.length)}` : undefined;
}
