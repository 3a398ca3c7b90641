/** When a comparison with now is no longer one with now. */

import type { Widget } from '@lumino/widgets';

import type { IDiff } from './api';
import type { IServices } from './services';

/** Milliseconds from a change to the question what it changed; more changes meanwhile are one. */
const PAUSE = 2_000;

/** Call `said` once, when the document at `path` no longer says what `shown` compares a version
 * with. Until then the server is asked after changes, and when the tab is shown again. */
export function whenStale(
  tab: Widget,
  services: IServices,
  path: string,
  versionId: string,
  shown: IDiff,
  said: () => void
): void {
  const { api, app, current, model } = services;
  let timer: number | undefined;

  const ask = async (): Promise<void> => {
    timer = undefined;
    if (!tab.isVisible) {
      return; // it is asked when the tab is shown
    }
    try {
      const now = await api.diff(path, versionId);
      if (!tab.isDisposed && JSON.stringify(now.diff) !== JSON.stringify(shown.diff)) {
        stop();
        said();
      }
    } catch {
      // Not known; the next change asks again.
    }
  };
  const later = (): void => {
    timer ??= window.setTimeout(() => void ask(), PAUSE);
  };
  const onEdit = (): void => {
    if (current.path === path) {
      later();
    }
  };
  let newest = model.versions[0]?.version_id;
  const onVersions = (): void => {
    const first = model.path === path ? model.versions[0]?.version_id : newest;
    if (first !== newest) {
      newest = first;
      later();
    }
  };
  const onShell = (): void => {
    if (app.shell.currentWidget === tab) {
      later();
    }
  };
  const stop = (): void => {
    window.clearTimeout(timer);
    current.edited.disconnect(onEdit);
    current.saved.disconnect(onEdit);
    model.changed.disconnect(onVersions);
    app.shell.currentChanged?.disconnect(onShell);
  };
  current.edited.connect(onEdit);
  current.saved.connect(onEdit);
  model.changed.connect(onVersions);
  app.shell.currentChanged?.connect(onShell);
  tab.disposed.connect(stop);
}
