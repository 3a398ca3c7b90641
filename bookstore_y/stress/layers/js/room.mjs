// Clients of a Jupyter room, made of Yjs and y-protocols.
//
//   node room.mjs URL PATH CLIENTS EDITS SEED PAUSE
//
// URL is the server's root, and JUPYTER_TOKEN its token; PATH is a notebook. The clients, `y0`,
// `y1`, …, make EDITS edits together, with up to PAUSE milliseconds between two of one client.
// Lines on standard input, one JSON answer a line on standard output:
//
//   (at the start)  {"phase": "synced"}
//   write           {"phase": "written", "made": [mark], "deleted": [mark]}
//   read            {"phase": "read", "copies": {NAME: [source of each cell]}}
//   quit

import { createInterface } from 'node:readline';
import WebSocket from 'ws';
import * as Y from 'yjs';
import * as sync from 'y-protocols/sync';
import * as encoding from 'lib0/encoding';
import * as decoding from 'lib0/decoding';
import { Writer, chances, choose } from './writer.mjs';

const SYNC = 0;

const [url, path, clients, edits, seed, pause] = process.argv.slice(2).map((word, index) =>
  index < 2 ? word : Number(word),
);
const headers = { Authorization: `token ${process.env.JUPYTER_TOKEN}` };
const encoded = path.split('/').map(encodeURIComponent).join('/');

class Client {
  constructor(number) {
    this.doc = new Y.Doc();
    this.writer = new Writer(`y${number}`, chances(seed * 1000 + number));
    this.doc.on('update', (update, origin) => {
      if (origin !== this) this.send((message) => sync.writeUpdate(message, update));
    });
  }

  async join() {
    const answer = await fetch(`${url}/api/collaboration/session/${encoded}`, {
      method: 'PUT',
      headers: { ...headers, 'Content-Type': 'application/json' },
      body: JSON.stringify({ format: 'json', type: 'notebook' }),
    });
    if (!answer.ok) throw new Error(`the session was refused: HTTP ${answer.status}`);
    const session = await answer.json();
    const room = `json:notebook:${session.fileId}`;
    const address = `${url.replace(/^http/, 'ws')}/api/collaboration/room/${room}`;
    this.socket = new WebSocket(`${address}?sessionId=${session.sessionId}`, { headers });
    await new Promise((synced, failed) => {
      this.socket.on('open', () => this.send((message) => sync.writeSyncStep1(message, this.doc)));
      this.socket.on('message', (data) => {
        if (this.receive(new Uint8Array(data)) === sync.messageYjsSyncStep2) synced();
      });
      this.socket.on('error', failed);
      this.socket.on('close', (code, reason) =>
        failed(new Error(`the connection was closed with ${code}: ${reason}`)),
      );
    });
    this.socket.on('close', (code, reason) => {
      if (!this.leaving) fail(new Error(`the connection was closed with ${code}: ${reason}`));
    });
  }

  send(write) {
    const message = encoding.createEncoder();
    encoding.writeVarUint(message, SYNC);
    write(message);
    this.socket.send(encoding.toUint8Array(message));
  }

  receive(data) {
    const message = decoding.createDecoder(data);
    if (decoding.readVarUint(message) !== SYNC) return undefined;
    const reply = encoding.createEncoder();
    encoding.writeVarUint(reply, SYNC);
    const kind = sync.readSyncMessage(message, reply, this.doc, this);
    if (encoding.length(reply) > 1) this.socket.send(encoding.toUint8Array(reply));
    return kind;
  }

  sources() {
    return this.doc.getArray('cells').map((cell) => cell.get('source'));
  }

  async write(share) {
    for (let edit = 0; edit < share; edit++) {
      this.writer.edit(choose(this.writer.chance, this.sources()));
      await new Promise((done) => setTimeout(done, this.writer.chance() * pause));
    }
  }

  leave() {
    this.leaving = true;
    this.socket.close();
  }
}

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

function fail(error) {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
}

async function main() {
  const all = Array.from({ length: clients }, (_, number) => new Client(number));
  await Promise.all(all.map((client) => client.join()));
  say({ phase: 'synced' });
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'write') {
      const share = (number) => Math.floor(edits / clients) + (number < edits % clients ? 1 : 0);
      await Promise.all(all.map((client, number) => client.write(share(number))));
      const marks = (of) => all.flatMap((client) => [...client.writer[of]]);
      say({ phase: 'written', made: marks('made'), deleted: marks('deleted') });
    } else if (line === 'read') {
      const read = (client) => client.sources().map((source) => source.toString());
      const copies = Object.fromEntries(all.map((client) => [client.writer.name, read(client)]));
      say({ phase: 'read', copies });
    } else if (line === 'quit') {
      break;
    }
  }
  // The end of standard input, too, ends the process: nobody is there any more to end it.
  all.forEach((client) => client.leave());
}

main().catch(fail);
