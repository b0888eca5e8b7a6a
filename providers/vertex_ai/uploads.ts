import { badRequest } from "../../src/errors.ts";
import type { FileUpload } from "../../src/provider.ts";

/** What becomes of what Gemini's format cannot carry. */
export type OnUnsupported = "refuse" | "warn";

// Cloud Storage takes 8 KiB of metadata for an object, all keys and values together.
const maxFilenameBytes = 4096;

/**
 * Refuses with a 400 what an upload asks for and Vertex AI cannot do; returns what it says of lines
 * that cannot be converted whole.
 */
export function checkUpload(upload: FileUpload): OnUnsupported {
  const { purpose, filename, expires_after, extra } = upload;
  if (purpose !== "fine-tune") {
    throw badRequest(
      `Cannot store a file for "${purpose.slice(0, 100)}": Vertex AI uses files for tuning alone; "fine-tune" would work`,
      "purpose",
    );
  }
  if (expires_after !== undefined) {
    throw badRequest(
      "Cannot expire the file: Cloud Storage expires objects by the rules of the bucket; set them there",
      "expires_after",
    );
  }
  if (Buffer.byteLength(filename) > maxFilenameBytes) {
    throw badRequest(
      `Cannot store the file: its name has more than ${maxFilenameBytes} bytes`,
      "file",
    );
  }
  return readOnUnsupported(extra);
}

function readOnUnsupported(extra: FileUpload["extra"]): OnUnsupported {
  let found: OnUnsupported | undefined;
  for (const [name, value] of extra) {
    if (name !== "on_unsupported") {
      throw badRequest(
        `Cannot take the field "${name.slice(0, 100)}": Vertex AI has nothing like it; "on_unsupported" would work`,
        name,
      );
    }
    if (found !== undefined) {
      throw badRequest('Cannot take the field "on_unsupported": it is given twice', name);
    }
    if (value !== "refuse" && value !== "warn") {
      throw badRequest(
        'Cannot take the field "on_unsupported": it must be "refuse" or "warn"',
        name,
      );
    }
    found = value;
  }
  return found ?? "refuse";
}
