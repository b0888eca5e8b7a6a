import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import * as v from "valibot";
import { readArguments } from "../../src/commands/arguments.ts";
import { generalSettings } from "../../src/config/general-settings.ts";

const directory = join(import.meta.dir, "../../.ci/release");
const dockerfile = await Bun.file(join(directory, "Dockerfile")).text();
const unit = await Bun.file(join(directory, "tunegate.service")).text();

/** The words of an instruction in its JSON form. */
function readInstruction(name: string): readonly string[] {
  const text = new RegExp(`^ *${name} (\\[.*\\])$`, "m").exec(dockerfile)?.[1];
  return v.parse(v.array(v.string()), JSON.parse(text ?? "null"));
}

/** The values of a setting of the unit, in order. */
function readSetting(name: string): readonly string[] {
  return Array.from(unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm")), ([, value]) => value ?? "");
}

describe("the image", () => {
  test("serves on every address, with its data in the volume", () => {
    const program = readInstruction("ENTRYPOINT");
    const words = /^CMD (\[.*\])$/m.exec(dockerfile)?.[1] ?? "null";
    const serve = readArguments(v.parse(v.array(v.string()), JSON.parse(words)));
    expect(serve).toMatchObject({ command: "serve", host: "0.0.0.0", port: 4000 });
    expect(dockerfile).toContain(`\nVOLUME ${serve.dataDirectory}\n`);
    expect(dockerfile).toContain(`\nEXPOSE ${serve.port}\n`);
    expect(dockerfile).toContain(` ${program[0]}\n`);
  });

  test("asks itself for its health where it listens", () => {
    const [program, ...words] = readInstruction("CMD");
    expect(readInstruction("ENTRYPOINT")).toEqual([program ?? ""]);
    expect(readArguments(words)).toMatchObject({ command: "health", port: 4000 });
  });

  test("runs as a user that is not root, by number, to whom the volume belongs", () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));
    const user = /^USER (\d+:\d+)$/m.exec(last)?.[1];
    expect(user).toBe("65532:65532");
    expect(last).toContain(`--chown=${user} /data /data`);
    expect(last).not.toContain("\nRUN ");
  });
});

describe("the service", () => {
  test("starts a command line that tunegate takes, with its data where it may write", () => {
    const [, ...words] = (readSetting("ExecStart")[0] ?? "").split(" ");
    const serve = readArguments(words);
    expect(serve).toMatchObject({ command: "serve", config: "/etc/tunegate/config.yaml" });
    expect(serve.dataDirectory).toBe(`/var/lib/${readSetting("StateDirectory")[0]}`);
  });

  test("waits longer for its end than the gateway does for the requests under way", () => {
    const { shutdown_timeout_seconds } = v.parse(generalSettings, {});
    expect(Number(readSetting("TimeoutStopSec")[0])).toBeGreaterThan(shutdown_timeout_seconds + 5);
  });

  test("leaves trainers running, and what they work with, when the gateway is restarted", () => {
    expect(readSetting("KillMode")).toEqual(["process"]);
    expect(readSetting("OOMPolicy")).toEqual(["continue"]);
    for (const name of ["PrivateTmp", "RemoveIPC", "DynamicUser", "ProcSubset"]) {
      expect(readSetting(name)).toEqual([]);
    }
  });

  test("may write its own directories only and gain no privilege, but may compile", () => {
    for (const [name, value] of [
      ["ProtectSystem", "strict"],
      ["NoNewPrivileges", "yes"],
      ["CapabilityBoundingSet", ""],
      ["User", "tunegate"],
    ] as const) {
      expect(readSetting(name)).toEqual([value]);
    }
    expect(readSetting("ReadWritePaths")).toEqual([]);
    expect(readSetting("MemoryDenyWriteExecute")).toEqual([]);
  });
});
