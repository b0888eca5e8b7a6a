import { timingSafeEqual } from "node:crypto";
import { ApiError } from "../errors.ts";

/** Checks who may call; throws 401 or 403. */
export type AccessCheck = (request: Request) => void;

/** With a key every call must carry it; without one only this machine's own programs may call. */
export function createAccessCheck(masterKey: string | undefined): AccessCheck {
  if (masterKey === undefined) return checkLocalCaller;
  const isMasterKey = createKeyCheck(masterKey);
  return (request) => {
    const header = request.headers.get("authorization") ?? "";
    const key = /^Bearer +/i.test(header) ? header.slice(6).trimStart() : undefined;
    if (key === undefined) {
      throw new ApiError(
        401,
        'Cannot authenticate: send the gateway\'s key as "Authorization: Bearer <key>"',
        { code: "invalid_api_key" },
      );
    }
    if (!isMasterKey(key)) {
      throw new ApiError(401, "Cannot authenticate: the key is not the gateway's master key", {
        code: "invalid_api_key",
      });
    }
  };
}

/** Compares in a time that tells neither how much of a key is right nor how long the real one is. */
function createKeyCheck(masterKey: string): (key: string) => boolean {
  const room = Math.max(256, Buffer.byteLength(masterKey));
  const expected = Buffer.alloc(room);
  const length = expected.write(masterKey);
  const given = Buffer.alloc(room);
  return (key) => {
    given.fill(0).write(key);
    return timingSafeEqual(given, expected) && Buffer.byteLength(key) === length;
  };
}

/** A web page in this machine's browser can reach loopback too; it shows by its Host or Origin. */
function checkLocalCaller(request: Request): void {
  const origin = request.headers.get("origin");
  const host = request.headers.get("host");
  const foreign = [host === null ? null : `http://${host}`, origin].find(
    (address) => address !== null && !isLoopbackUrl(address),
  );
  if (foreign === undefined) return;
  throw new ApiError(
    403,
    `Cannot serve a call by way of "${foreign?.slice(0, 100)}": without general_settings.master_key only programs on this machine may call`,
    { code: "local_callers_only" },
  );
}

function isLoopbackUrl(address: string): boolean {
  return URL.canParse(address) && isLoopbackHost(new URL(address).hostname);
}

/** Whether a host name or address can only be this machine. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  return bare === "localhost" || bare === "::1" || /^127(?:\.\d{1,3}){3}$/.test(bare);
}
