import { type FakeStorage, startFakeStorage } from "./storage.ts";
import { type FakeTokens, startFakeTokens } from "./token.ts";
import { type FakeVertex, startFakeVertex } from "./vertex.ts";

/** A project at Google: its token server, its bucket, and its tuning jobs. */
export interface FakeGoogle {
  readonly tokens: FakeTokens;
  readonly storage: FakeStorage;
  readonly vertex: FakeVertex;
  /** The options of a backend of this project, whose files are below `folder` in the bucket. */
  describe(folder: string): Readonly<Record<string, string>>;
  /** Takes a job to its end: with two checkpoints, their endpoints, and curves. */
  finishJob(id: string): void;
  stop(): Promise<void>;
}

/** Starts all three, which know the same tokens and objects; `tokens` may be shared. */
export async function startFakeGoogle(shared?: FakeTokens): Promise<FakeGoogle> {
  const tokens = shared ?? (await startFakeTokens());
  const accepts = (token: string) => tokens.tokens.includes(token);
  const storage = await startFakeStorage({ accepts, pageSize: 2 });
  const exists = (uri: string) => storage.objects.has(uri.replace("gs://bucket/", ""));
  const vertex = await startFakeVertex({ accepts, exists });
  return {
    tokens,
    storage,
    vertex,
    describe: (folder) => ({
      vertex_project: vertex.project,
      vertex_location: vertex.location,
      vertex_credentials: JSON.stringify(tokens.serviceAccount),
      gcs_bucket_name: `${storage.bucket}/${folder}`,
      api_base: vertex.url,
      storage_base: storage.origin,
    }),
    finishJob: (id) => finishJob(vertex, id),
    async stop() {
      const own = shared === undefined ? [tokens] : [];
      await Promise.all([storage, vertex, ...own].map((server) => server.stop()));
    },
  };
}

function finishJob(vertex: FakeVertex, id: string): void {
  const number = id.replace("ftjob-", "");
  const job = vertex.jobs.get(number);
  if (job === undefined) throw new Error(`The fake has no job ${id}`);
  const parent = `projects/${vertex.number}/locations/${vertex.location}`;
  const now = Date.now();
  const [startTime, endTime] = [1000, 9000].map((after) => new Date(now + after).toISOString());
  const points = [1, 2, 3, 4].map((step) => ({
    step,
    wallTime: new Date(now + 2000 + step * 1000).toISOString(),
    value: 1 / step,
  }));
  vertex.addCurves(job, [{ displayName: "/train_total_loss", values: points }]);
  Object.assign(job, {
    state: "JOB_STATE_SUCCEEDED",
    startTime,
    endTime,
    tunedModel: {
      model: `${parent}/models/${number}@1`,
      endpoint: `${parent}/endpoints/${number}2`,
      checkpoints: [
        { checkpointId: "1", epoch: "1", step: "2", endpoint: `${parent}/endpoints/${number}1` },
        { checkpointId: "2", epoch: "2", step: "4", endpoint: `${parent}/endpoints/${number}2` },
      ],
    },
  });
}
