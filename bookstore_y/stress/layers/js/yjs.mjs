// Yjs alone: documents that exchange updates late, and now and then twice, as `crdt.py` has it.
//
//   node yjs.mjs CLIENTS EDITS SEED
//
// Prints {copies: {NAME: text}, made: [mark], deleted: [mark]} as JSON.

import * as Y from 'yjs';
import { Writer, chances, shuffle } from './writer.mjs';

const TWICE = 0.1;

const [clients, edits, seed] = process.argv.slice(2).map(Number);
const chance = chances(seed);
const upTo = (most) => Math.floor(chance() * (most + 1));
const docs = Array.from({ length: clients }, () => new Y.Doc());
const writers = docs.map((_, number) => new Writer(`c${number}`, chances(seed * 1000 + number)));
const sent = [];
const read = docs.map(() => 0);

for (const doc of docs) {
  doc.on('update', (update, origin) => origin !== 'mail' && sent.push(update));
}

function deliver(number, until) {
  for (let at = read[number]; at < until; at++) {
    Y.applyUpdate(docs[number], sent[at], 'mail');
    if (chance() < TWICE) Y.applyUpdate(docs[number], sent[upTo(at)], 'mail');
  }
  read[number] = until;
}

for (let edit = 0; edit < edits; edit++) {
  const number = upTo(clients - 1);
  writers[number].edit(docs[number].getText('text'));
  const receiver = upTo(clients - 1);
  deliver(receiver, read[receiver] + upTo(sent.length - read[receiver]));
}
docs.forEach((_, number) => deliver(number, sent.length));

const newcomer = new Y.Doc();
Y.applyUpdate(newcomer, Y.encodeStateAsUpdate(docs[0]));
const disordered = new Y.Doc();
shuffle(chance, sent);
for (const update of sent) Y.applyUpdate(disordered, update);

const text = (doc) => doc.getText('text').toString();
const copies = Object.fromEntries(writers.map(({ name }, number) => [name, text(docs[number])]));
copies.newcomer = text(newcomer);
copies['in disorder'] = text(disordered);
const all = (of) => writers.flatMap((writer) => [...writer[of]]);
process.stdout.write(JSON.stringify({ copies, made: all('made'), deleted: all('deleted') }));
