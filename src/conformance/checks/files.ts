import assert from "node:assert/strict";
import { ApiError } from "../../errors.ts";
import { encodeForm, makeFileForm } from "../../upstream/form.ts";
import { type Check, catchFailure, makeUpload, never, type Trial, uploadSample } from "../trial.ts";
import { checkFile, checkId, pickLasting } from "./objects.ts";

/** The name of the check that a backend without any rules cannot pass. */
export const expiryRule =
  "uploadFile() lets a file expire, or refuses to with a 400 that names the field";

const readers = ["getFile", "readFile", "deleteFile", "readFileReport"] as const;

async function readBytes({ backend }: Trial, id: string, range?: string) {
  const { body, status = 200, headers } = await backend.readFile(id, range, never);
  return { bytes: Buffer.from(await new Response(body).arrayBuffer()), status, headers };
}

/** Checks that an error says that there is no such thing. */
export function checkAbsent(error: unknown): void {
  assert.ok(error instanceof ApiError, `it is no ApiError but ${error}`);
  assert.ok([400, 404].includes(error.status), `its status is ${error.status}: ${error.message}`);
}

/** Files: what is told of them is true, and they come back as they were. */
export const fileChecks: readonly Check[] = [
  {
    name: "uploadFile() tells the truth, and every answer the same of a file",
    needs: ["getFile", "listFiles"],
    async run(trial) {
      const { backend, service } = trial;
      const { content, filename } = service.sample;
      const file = await uploadSample(trial);
      checkFile(file);
      const told = { bytes: content.length, filename, purpose: "fine-tune" };
      const again = await backend.getFile(file.id, never);
      const listed = await Array.fromAsync(backend.listFiles({ limit: 10, order: "desc" }, never));
      for (const one of [file, again, ...listed]) {
        const { bytes, purpose } = one;
        assert.deepEqual({ bytes, filename: one.filename, purpose }, told);
        assert.deepEqual(pickLasting(one), pickLasting(file));
      }
      assert.equal(listed.length, 1);
    },
  },
  {
    name: "relayUpload() stores the same file as uploadFile()",
    needs: ["relayUpload", "readFile"],
    async run(trial) {
      const { backend, service } = trial;
      const form = encodeForm(makeFileForm(makeUpload(service)));
      const { id, bytes, filename, purpose } = await backend.relayUpload(form, never);
      const { content } = service.sample;
      const told = { bytes: content.length, filename: service.sample.filename };
      assert.deepEqual({ bytes, filename, purpose }, { ...told, purpose: "fine-tune" });
      assert.ok((await readBytes(trial, id)).bytes.equals(content), "the bytes differ");
    },
  },
  {
    name: "readFile() gives the very bytes back, whole and in part",
    needs: ["readFile"],
    async run(trial) {
      const { content } = trial.service.sample;
      const { id } = await uploadSample(trial);
      const whole = await readBytes(trial, id);
      assert.equal(whole.status, 200);
      assert.ok(whole.bytes.equals(content), "the bytes differ");
      const { "content-length": length = String(content.length) } = whole.headers;
      assert.equal(length, String(content.length));
      const part = await readBytes(trial, id, "bytes=3-11");
      if (part.status === 200) assert.ok(part.bytes.equals(content), "the bytes differ");
      else assert.ok(part.bytes.equals(content.subarray(3, 12)), "the part differs");
    },
  },
  {
    name: "the same file that comes twice, or five at once, is as many files",
    needs: ["getFile"],
    async run(trial) {
      const files = await Promise.all(Array.from({ length: 5 }, () => uploadSample(trial)));
      assert.equal(new Set(files.map(({ id }) => id)).size, 5);
      for (const { id } of files) assert.equal((await trial.backend.getFile(id, never)).id, id);
    },
  },
  {
    name: "deleteFile() takes a file away for every call, and no other",
    needs: ["deleteFile", "getFile"],
    async run(trial) {
      const { backend, candidate } = trial;
      const kept = await uploadSample(trial);
      const { id } = await uploadSample(trial);
      await backend.deleteFile(id, never);
      for (const method of readers) {
        if (method === "readFile") {
          checkAbsent(await catchFailure(() => backend.readFile(id, undefined, never)));
        } else if (candidate.methods.includes(method)) {
          checkAbsent(await catchFailure(async () => backend[method](id, never)));
        }
      }
      assert.equal((await backend.getFile(kept.id, never)).id, kept.id);
    },
  },
  {
    name: expiryRule,
    async run({ backend, service }) {
      const expires_after = { anchor: "created_at", seconds: 7200 };
      const upload = makeUpload(service, { expires_after });
      try {
        const file = await backend.uploadFile(upload, never);
        assert.equal(file.expires_at, file.created_at + 7200, "the expiry is left out");
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        assert.equal(error.status, 400, error.message);
        assert.match(error.param ?? "", /^expires_after/);
      }
    },
  },
  {
    name: "an upload in parts becomes one file of just these bytes",
    needs: ["createUpload", "addUploadPart", "completeUpload", "cancelUpload", "readFile"],
    async run(trial) {
      const { backend, service } = trial;
      const { content, filename } = service.sample;
      const request = {
        filename,
        purpose: "fine-tune",
        bytes: content.length,
        mime_type: "text/jsonl",
      };
      const { id } = await backend.createUpload(request, never);
      checkId(id);
      const middle = content.length >> 1;
      const part_ids: string[] = [];
      for (const piece of [content.slice(0, middle), content.slice(middle)]) {
        const part = await backend.addUploadPart(id, new Blob([new Uint8Array(piece)]), never);
        part_ids.push(part.id);
      }
      const { file } = await backend.completeUpload(id, { part_ids }, never);
      const fileId = Object(file).id;
      checkId(fileId);
      assert.ok((await readBytes(trial, fileId)).bytes.equals(content), "the bytes differ");
      const other = await backend.createUpload(request, never);
      assert.equal((await backend.cancelUpload(other.id, never)).status, "cancelled");
    },
  },
];
