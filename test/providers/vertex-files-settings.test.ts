import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as v from "valibot";
import {
  createFileId,
  findObject,
  fromGsUri,
  fromJobId,
  isOwnFileId,
  parseFolder,
  readFileTime,
  toGsUri,
  toJobId,
} from "../../providers/vertex_ai/ids.ts";
import vertex from "../../providers/vertex_ai/index.ts";
import { findApiBase } from "../../providers/vertex_ai/options.ts";
import { StartError } from "../../src/errors.ts";
import type { Runtime } from "../../src/provider.ts";
import { makeUpload } from "./backends.ts";

const { signal } = new AbortController();
const kept = process.env.GCS_BUCKET_NAME;

beforeEach(() => {
  delete process.env.GCS_BUCKET_NAME;
});
afterEach(() => {
  if (kept === undefined) delete process.env.GCS_BUCKET_NAME;
  else process.env.GCS_BUCKET_NAME = kept;
});

function create(serves: Runtime["serves"], options: Readonly<Record<string, unknown>> = {}) {
  return vertex.create(v.parse(vertex.options, { vertex_project: "my-project", ...options }), {
    name: "main",
    directory: "/nonexistent/tunegate",
    serves,
    command: [],
    secrets: [],
    log: () => {},
  });
}

describe("the options", () => {
  test.each([
    [{ vertex_project: "my-project" }],
    [{ vertex_project: "123456789012", vertex_location: "europe-west4" }],
    [{ vertex_project: "example.com:my-project", gcs_bucket_name: "my.bucket_1/a/b/" }],
    [{ vertex_project: "my-project", labels: { team: "a_b-1", größe: "" } }],
    [
      {
        vertex_project: "my-project",
        encryption_key: "projects/p/locations/l/keyRings/r/cryptoKeys/k",
      },
    ],
  ])("take %j", (options) => {
    expect(v.safeParse(vertex.options, options).success).toBe(true);
  });

  test.each([
    [{}],
    [{ vertex_project: "My Project" }],
    [{ vertex_project: 123456789012 }],
    [{ vertex_project: "p/../q" }],
    [{ vertex_location: "us-central1.evil.com/" }],
    [{ vertex_location: "us-central1/" }],
    [{ vertex_credentials: { type: "service_account" } }],
    [{ vertex_credentials: " " }],
    [{ gcs_bucket_name: "gs://bucket" }],
    [{ gcs_bucket_name: "bucket//a" }],
    [{ gcs_bucket_name: "bucket/../a" }],
    [{ gcs_bucket_name: "B" }],
    [{ labels: { Team: "a" } }],
    [{ labels: { team: "A" } }],
    [{ labels: ["a"] }],
    [{ labels: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`l${index}`, ""])) }],
    [{ service_account: "nobody" }],
    [{ encryption_key: "key" }],
    [{ storage_base: "storage.googleapis.com" }],
    [{ bucket: "bucket" }],
  ])("do not take %j", (options) => {
    const whole =
      Object.keys(options).length === 0 ? {} : { vertex_project: "my-project", ...options };
    expect(v.safeParse(vertex.options, whole).success).toBe(false);
  });

  test.each([
    ["us-central1", "https://us-central1-aiplatform.googleapis.com"],
    ["global", "https://aiplatform.googleapis.com"],
    ["us", "https://aiplatform.us.rep.googleapis.com"],
    ["eu", "https://aiplatform.eu.rep.googleapis.com"],
  ])("find Vertex AI in %s", (location, address) => {
    expect(findApiBase(location)).toBe(address);
  });

  test("need a bucket for files, which may be in the environment", () => {
    expect(() => create({ files: true, jobs: true })).toThrow(StartError);
    expect(() => create({ files: true, jobs: true })).toThrow('set "gcs_bucket_name"');
    process.env.GCS_BUCKET_NAME = "bucket/prefix";
    expect(create({ files: true, jobs: true }).listFiles).toBeDefined();
  });

  test("need no bucket for jobs", async () => {
    const backend = create({ files: false, jobs: true });
    expect(backend.listFiles).toBeUndefined();
    await expect(backend.uploadFile(makeUpload(new Blob()), signal)).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('set "gcs_bucket_name"'),
    });
  });

  test("that hold a bad credential do not stop the start", () => {
    create({ files: true, jobs: true }, { gcs_bucket_name: "bucket", vertex_credentials: "{" });
  });
});

describe("ids", () => {
  const folder = parseFolder("bucket/tuning/a/");

  test("of files sort the newest first and hold their time", () => {
    const ids = Array.from({ length: 100 }, createFileId);
    expect(ids.toSorted()).toEqual(ids.toReversed());
    expect(new Set(ids).size).toBe(100);
    for (const id of ids) {
      expect(isOwnFileId(id)).toBe(true);
      expect(Math.abs(readFileTime(id) - Date.now() / 1000)).toBeLessThan(5);
    }
  });

  test("of our own files are what their URIs become again", () => {
    const id = createFileId();
    const uri = `gs://bucket/tuning/a/${id}.jsonl`;
    expect(toGsUri(id, folder, "training_file")).toBe(uri);
    expect(fromGsUri(uri, folder)).toBe(id);
    expect(fromGsUri(uri, parseFolder("bucket/tuning"))).toStartWith("file-gs-");
    expect(fromGsUri(uri, undefined)).toStartWith("file-gs-");
  });

  test.each(["a", "a/b.jsonl", "ä 訓練/👋?#%.jsonl", "a/../b", "x".repeat(1024)])(
    "of the object %p of others are safe in a URL and lead back",
    (name) => {
      const uri = `gs://other.bucket/${name}`;
      const id = fromGsUri(uri, folder);
      expect(id).toMatch(/^file-gs-[\w-]+$/);
      expect(toGsUri(id, folder, "training_file")).toBe(uri);
      expect(toGsUri(uri, undefined, "training_file")).toBe(uri);
      expect(findObject(id, undefined)).toEqual({ bucket: "other.bucket", name });
    },
  );

  test.each([
    "",
    "file-",
    "file-abc",
    "file-gs-",
    "file-gs-YnVja2V0",
    // "bucket/a" with padding, and spelt in another way.
    "file-gs-YnVja2V0L2E=",
    "file-gs-YnVja2V0L2F",
    "file-gs-Li4v",
    "gs://",
    "gs://bucket",
    "gs://bucket/",
    "gs://bucket/..",
    "gs://bucket/a\nb",
    "gs://B/a",
    `gs://bucket/${"x".repeat(1025)}`,
    `file-${"A".repeat(28)}`,
    "https://example.com/a.jsonl",
  ])("are not %p", (id) => {
    expect(findObject(id, folder)).toBeUndefined();
    expect(() => toGsUri(id, folder, "validation_file")).toThrow("Cannot use the file");
  });

  test("of our own files say what is missing where there is no bucket", () => {
    expect(() => toGsUri(createFileId(), undefined, "training_file")).toThrow("gcs_bucket_name");
  });

  test("of jobs hold the location where it is not the configured one", () => {
    for (const [location, id] of [
      ["us-central1", "ftjob-6753283646234001408"],
      ["europe-west4", "ftjob-6753283646234001408-europe-west4"],
    ] as const) {
      const job = { location, number: "6753283646234001408" };
      expect(toJobId(job, "us-central1")).toBe(id);
      expect(fromJobId(id, "us-central1")).toEqual(job);
    }
  });

  test.each([
    "",
    "ftjob-",
    "ftjob-0",
    "ftjob-x",
    "ftjob-1/2",
    "ftjob-1-us-central1",
    "ftjob-1-evil.com",
    "ftjob-1-",
    `ftjob-${"1".repeat(21)}`,
  ])("of jobs are not %p", (id) => {
    expect(fromJobId(id, "us-central1")).toBeUndefined();
  });
});
