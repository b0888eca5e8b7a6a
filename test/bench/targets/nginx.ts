import { join } from "node:path";
import { findFreePort, runProgram, startProcess } from "../processes.ts";
import { upstreamKey } from "../upstream/answers.ts";
import { type Place, runTarget, type Target, upstreamRoutes } from "./target.ts";

/** A reverse proxy that passes uploads on as they come and keeps its connections to the upstream. */
export const nginx = createNginx("nginx", [...upstreamRoutes, "start", "size"], true);

/**
 * The same without these settings: it takes a whole upload before it passes it on, and connects to
 * the upstream for every request.
 */
export const nginxPlain = createNginx("nginx, plain", upstreamRoutes, false);

function createNginx(name: string, routes: Target["routes"], tuned: boolean): Target {
  return {
    name,
    routes,
    async install() {
      return await readVersion(findProgram());
    },
    async start(place) {
      const port = findFreePort();
      const file = join(place.directory, "nginx.conf");
      await Bun.write(file, writeConfig(place, port, tuned));
      const started = startProcess({
        name: "nginx",
        command: [findProgram(), "-p", place.directory, "-c", file, "-e", "error.log"],
        directory: place.directory,
        cpu: place.layout.proxy,
      });
      const headers = { authorization: `Bearer ${upstreamKey}` };
      const target = runTarget(`http://127.0.0.1:${port}`, headers, started);
      return { ...target, executable: findProgram() };
    },
  };
}

function findProgram(): string {
  // Debian keeps it where not every user's PATH leads.
  const program = Bun.which("nginx", { PATH: `${process.env.PATH}:/usr/sbin` });
  if (program === null) throw new Error("the program nginx is not installed");
  return program;
}

async function readVersion(program: string): Promise<string> {
  // It prints its version to standard error.
  const text = await runProgram({
    command: ["sh", "-c", `"${program}" -v 2>&1`],
    directory: "/",
  });
  return /nginx\/(\S+)/.exec(text)?.[1] ?? text.trim();
}

const tuning = `
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;`;

/** As Debian has it, its log of requests included, but one worker. */
function writeConfig({ upstream, directory }: Place, port: number, tuned: boolean): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `  ${kind}_temp_path ${directory}/${kind};\n`)
    .join("");
  return `daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
${process.getuid?.() === 0 ? "user root;\n" : ""}events {
  worker_connections 1024;
}
http {
${temporary}  access_log ${directory}/access.log;
  sendfile on;
  tcp_nopush on;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  upstream service {
    server ${new URL(upstream).host};
${tuned ? "    keepalive 128;\n    keepalive_requests 1000000000;\n" : ""}  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://service;${tuned ? tuning : ""}
    }
  }
}
`;
}
