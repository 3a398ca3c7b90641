// What `_writer.py` does, with Yjs: marks are typed between those that are there, and some of
// one's own are deleted again.

const MARK = /«([a-z]+[0-9]+-[0-9]+)🙂»/gu;
const DELETED = 0.2;

/** Numbers in [0, 1) by a seed of 32 bits (mulberry32). */
export function chances(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export const choose = (chance, list) => list[Math.floor(chance() * list.length)];

export function shuffle(chance, list) {
  for (let last = list.length - 1; last > 0; last--) {
    const other = Math.floor(chance() * (last + 1));
    [list[last], list[other]] = [list[other], list[last]];
  }
}

export class Writer {
  made = new Set();
  deleted = new Set();

  constructor(name, chance) {
    this.name = name;
    this.chance = chance;
  }

  /** One edit of a Y.Text. */
  edit(text) {
    const marks = [...text.toString().matchAll(MARK)];
    const mine = marks.filter((found) => this.made.has(found[0]));
    if (mine.length > 0 && this.chance() < DELETED) {
      const chosen = choose(this.chance, mine);
      text.delete(chosen.index, chosen[0].length);
      this.deleted.add(chosen[0]);
      return;
    }
    const places = [0, ...marks.map((found) => found.index + found[0].length)];
    const mark = `«${this.name}-${this.made.size}🙂»`;
    this.made.add(mark);
    text.insert(choose(this.chance, places), mark);
  }
}
