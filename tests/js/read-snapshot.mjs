// Reads a document with Yjs alone:
//
//   node read-snapshot.mjs FILE NAME:TYPE...
//
// FILE holds one Yjs v1 update; TYPE is array, map or text. Prints {NAME: content} as JSON.

import { readFileSync } from 'node:fs';
import * as Y from 'yjs';

const read = {
  array: (doc, name) => doc.getArray(name).toJSON(),
  map: (doc, name) => doc.getMap(name).toJSON(),
  text: (doc, name) => doc.getText(name).toString(),
};

const [file, ...roots] = process.argv.slice(2);
const doc = new Y.Doc();
Y.applyUpdate(doc, readFileSync(file));

// An update that lacks something it builds on is kept aside by Yjs, without an error.
if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null) {
  throw new Error('the update is not a whole document');
}

const content = {};
for (const root of roots) {
  const [name, type] = root.split(':');
  if (!Object.hasOwn(read, type)) {
    throw new Error(`${root}: the type is array, map or text`);
  }
  content[name] = read[type](doc, name);
}
process.stdout.write(JSON.stringify(content));
