import type { Handler } from "./handlers/answers.ts";
import { createFile } from "./handlers/create-file.ts";
import * as files from "./handlers/files.ts";
import * as graders from "./handlers/graders.ts";
import * as health from "./handlers/health.ts";
import * as jobs from "./handlers/jobs.ts";
import * as models from "./handlers/models.ts";
import * as permissions from "./handlers/permissions.ts";
import * as providers from "./handlers/providers.ts";
import * as uploads from "./handlers/uploads.ts";
import type { Route } from "./http/router.ts";

/** The gateway's routes, each with and without `/v1` and under `/{backend or provider}/v1`. */
export const routes: readonly Route<Handler>[] = [
  ["POST", "files", createFile],
  ["GET", "files", files.listFiles],
  ["POST", "files/import", files.importFile],
  ["GET", "files/:id", files.getFile],
  ["DELETE", "files/:id", files.deleteFile],
  ["GET", "files/:id/content", files.getFileContent],
  ["GET", "files/:id/report", files.getFileReport],
  ["POST", "uploads", uploads.createUpload],
  ["POST", "uploads/:id/parts", uploads.addUploadPart],
  ["POST", "uploads/:id/complete", uploads.completeUploadParts],
  ["POST", "uploads/:id/cancel", uploads.cancelUpload],
  ["POST", "fine_tuning/jobs", jobs.createJob],
  ["GET", "fine_tuning/jobs", jobs.listJobs],
  ["GET", "fine_tuning/jobs/:id", jobs.getJob],
  ["DELETE", "fine_tuning/jobs/:id", jobs.deleteJob],
  ["POST", "fine_tuning/jobs/:id/cancel", jobs.cancelJob],
  ["POST", "fine_tuning/jobs/:id/pause", jobs.pauseJob],
  ["POST", "fine_tuning/jobs/:id/resume", jobs.resumeJob],
  ["GET", "fine_tuning/jobs/:id/events", jobs.listEvents],
  ["GET", "fine_tuning/jobs/:id/checkpoints", jobs.listCheckpoints],
  ["GET", "fine_tuning/checkpoints/:model/permissions", permissions.listPermissions],
  ["POST", "fine_tuning/checkpoints/:model/permissions", permissions.createPermissions],
  ["DELETE", "fine_tuning/checkpoints/:model/permissions/:id", permissions.deletePermission],
  ["POST", "fine_tuning/alpha/graders/run", graders.runGrader],
  ["POST", "fine_tuning/alpha/graders/validate", graders.validateGrader],
  ["GET", "models", models.listModels],
  ["GET", "models/:id", models.getModel],
  ["GET", "providers", providers.listProviders],
];

/** Routes that answer without a key. */
export const openRoutes: readonly Route<Handler>[] = [
  ["GET", "health/liveliness", health.getLiveness],
  ["HEAD", "health/liveliness", health.getLiveness],
  ["GET", "health/liveness", health.getLiveness],
  ["HEAD", "health/liveness", health.getLiveness],
  ["GET", "health/readiness", health.getReadiness],
  ["HEAD", "health/readiness", health.getReadiness],
];
