import { join } from "node:path";
import { isCompiled } from "../executable.ts";

/** Starts the thread of one of the files below `src/`, named without its ending: `digest/worker`. */
export function startWorker(name: string): Worker {
  // In a compiled executable every file that it was built from lies below one directory.
  const path = isCompiled() ? [`${name}.js`] : ["..", `${name}.ts`];
  return new Worker(join(import.meta.dir, ...path));
}
