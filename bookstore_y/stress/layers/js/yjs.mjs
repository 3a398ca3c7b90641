// Yjs alone: documents that exchange updates late, out of order, and more than once.
//
//   node yjs.mjs CLIENTS EDITS SEED
//
// Prints {copies: {NAME: text}, made: [mark], deleted: [mark]} as JSON.

import * as Y from 'yjs';
import { Writer, chances, shuffle } from './writer.mjs';

const TWICE = 0.1;

const [clients, edits, seed] = process.argv.slice(2).map(Number);
const chance = chances(seed);
const docs = Array.from({ length: clients }, () => new Y.Doc());
const writers = docs.map((_, number) => new Writer(`c${number}`, chances(seed * 1000 + number)));
const waiting = docs.map(() => []);

docs.forEach((doc, sender) => {
  doc.on('update', (update, origin) => {
    if (origin === 'mail') return;
    waiting.forEach((letters, number) => number !== sender && letters.push(update));
  });
});

function receive(number, most) {
  shuffle(chance, waiting[number]);
  for (const update of waiting[number].splice(0, most)) {
    Y.applyUpdate(docs[number], update, 'mail');
    if (chance() < TWICE) Y.applyUpdate(docs[number], update, 'mail');
  }
}

for (let edit = 0; edit < edits; edit++) {
  const number = Math.floor(chance() * clients);
  writers[number].edit(docs[number].getText('text'));
  const receiver = Math.floor(chance() * clients);
  receive(receiver, Math.floor(chance() * (waiting[receiver].length + 1)));
}
docs.forEach((_, number) => receive(number, Infinity));

const newcomer = new Y.Doc();
Y.applyUpdate(newcomer, Y.encodeStateAsUpdate(docs[0]));

const copies = Object.fromEntries(
  writers.map((writer, number) => [writer.name, docs[number].getText('text').toString()]),
);
copies.newcomer = newcomer.getText('text').toString();
const all = (of) => writers.flatMap((writer) => [...writer[of]]);
process.stdout.write(JSON.stringify({ copies, made: all('made'), deleted: all('deleted') }));
