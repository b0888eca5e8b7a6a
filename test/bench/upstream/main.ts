import { type Connection, createConnection } from "./connection.ts";

// A fake of OpenAI's files and fine-tuning API that costs as little as it can: it keeps nothing,
// and tells every object from its id. Run as a process of its own; prints its port.

const listener = Bun.listen<{ connection?: Connection }>({
  hostname: "127.0.0.1",
  port: Number(process.argv[2] ?? 0),
  data: {},
  socket: {
    open(socket) {
      socket.data = { connection: createConnection(socket) };
    },
    data(socket, bytes) {
      try {
        socket.data.connection?.push(bytes);
      } catch {
        socket.end();
      }
    },
    drain(socket) {
      socket.data.connection?.drain();
    },
  },
});
process.stdout.write(`listens on http://127.0.0.1:${listener.port}\n`);
