/** Opening the tabs that show a version, or what changed between two. */

import type { MainAreaWidget } from '@jupyterlab/apputils';

import type { IVersion } from './api';
import { attempt } from './attempt';
import { timeOf } from './grouping';
import type { IServices, IViewers } from './services';
import { addTab, findTab } from './tabs';

/** Show a version in a tab of its own. */
export async function look(
  services: IServices,
  viewers: IViewers,
  path: string,
  version: IVersion
): Promise<void> {
  await show(services, `bookstore-look-${idOf(version)}`, async () => {
    const [{ viewOf }, found] = await Promise.all([
      import('./look'),
      services.api.version(path, version.version_id)
    ]);
    const shown = { ...version, ...found.version };
    return viewOf(services, viewers, path, shown, found.model, () =>
      compare(services, viewers, path, shown, null)
    );
  });
}

/** Show what changed from a version to a later one; null: to now. */
export async function compare(
  services: IServices,
  viewers: IViewers,
  path: string,
  before: IVersion,
  after: IVersion | null
): Promise<void> {
  const id = `bookstore-compare-${idOf(before)}-${after ? idOf(after) : 'now'}`;
  if (after === null) {
    findTab(services.app, id)?.dispose(); // now is another now
  }
  await show(services, id, async () => {
    const [{ viewOf }, diff] = await Promise.all([
      import('./compare'),
      services.api.diff(path, before.version_id, after?.version_id)
    ]);
    return viewOf(services, viewers, path, before, after, diff, () =>
      compare(services, viewers, path, before, null)
    );
  });
}

/** Compare two versions, the older one first. */
export function compareBoth(
  services: IServices,
  viewers: IViewers,
  path: string,
  one: IVersion,
  other: IVersion
): Promise<void> {
  const inOrder = timeOf(one) <= timeOf(other);
  return compare(services, viewers, path, inOrder ? one : other, inOrder ? other : one);
}

/** What a version has to itself: the id alone is "null" of all that is older than versioning. */
function idOf(version: IVersion): string {
  return `${version.version_id}-${version.key}`;
}

/** The ids of the tabs that are being made. */
const making = new Set<string>();

/** Show the tab with this id; make it if there is none. */
async function show(
  services: IServices,
  id: string,
  make: () => Promise<MainAreaWidget>
): Promise<void> {
  const { shell } = services.app;
  const trans = services.wording.trans;
  const known = findTab(services.app, id);
  if (known) {
    shell.activateById(id);
    return;
  }
  if (making.has(id)) {
    return; // pressed twice
  }
  making.add(id);
  await attempt(trans, trans.__('It could not be shown'), async () => {
    const widget = await make();
    widget.id = id;
    addTab(services.app, widget);
  });
  making.delete(id);
}
