import { createHash, timingSafeEqual } from "node:crypto";
import { ApiError } from "../errors.ts";

/** Checks who may call; throws 401 or 403. */
export type AccessCheck = (request: Request) => void;

/** With a key every call must carry it; without one only this machine's own programs may call. */
export function createAccessCheck(masterKey: string | undefined): AccessCheck {
  if (masterKey === undefined) return checkLocalCaller;
  const expected = digest(masterKey);
  return (request) => {
    const header = request.headers.get("authorization");
    const key = /^Bearer +(.+)$/i.exec(header ?? "")?.[1];
    if (key === undefined) {
      throw new ApiError(
        401,
        'Cannot authenticate: send the gateway\'s key as "Authorization: Bearer <key>"',
        { code: "invalid_api_key" },
      );
    }
    // Digests have one length, so the comparison tells nothing of the key's.
    if (!timingSafeEqual(digest(key), expected)) {
      throw new ApiError(401, "Cannot authenticate: the key is not the gateway's master key", {
        code: "invalid_api_key",
      });
    }
  };
}

function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest();
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
