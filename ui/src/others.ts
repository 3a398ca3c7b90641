/** Tells what other people have done with the versions of the documents that are open here. */

import { Notification } from '@jupyterlab/apputils';

import type { IVersion } from './api';
import { attempt } from './attempt';
import { timeOf } from './grouping';
import { compare } from './opening';
import type { IServices, IViewers } from './services';
import { nameOf } from './wording';

const HISTORY_EVENTS = 'https://schema.jupyter.org/bookstore_y/history/v1';
const SHOWN = 60_000;

/** An event of that schema (bookstore_y/jupyter/history.v1.yaml). */
export interface IHistoryEvent {
  action: 'restored' | 'labelled';
  path: string;
  by: string | null;
  version: IVersion;
  restored: IVersion | null;
}

/** Follow what others do from now on. */
export function followOthers(services: IServices, viewers: IViewers): void {
  services.app.serviceManager.events.stream.connect((_, event) => {
    if (event.schema_id === HISTORY_EVENTS) {
      const happened = event as unknown as IHistoryEvent;
      if (happened.action === 'labelled') {
        services.model.update(happened.version);
      } else {
        void tell(services, viewers, happened);
      }
    }
  });
}

async function tell(
  services: IServices,
  viewers: IViewers,
  event: IHistoryEvent
): Promise<void> {
  const { path, version, restored } = event;
  // Who has restored it is told by the answer, which may come after the event.
  const own = await Promise.allSettled(services.ownRestores);
  const isOwn = own.some(
    each => each.status === 'fulfilled' && each.value.version.version_id === version.version_id
  );
  if (isOwn || !restored || !services.current.contextsOf(path).length) {
    return;
  }
  const { trans } = services.wording;
  const withActions = (run: (actions: typeof import('./actions'), before: string) => void): void =>
    void attempt(trans, trans.__("This can't be done now"), async () => {
      const actions = await import('./actions');
      const before = await actions.beforeOf(services, path, version);
      if (before) {
        run(actions, before);
      }
    });
  Notification.info(sentence(services, event, restored), {
    autoClose: SHOWN,
    actions: [
      {
        label: trans.__('Compare'),
        caption: trans.__('Show what the restore changed'),
        callback: () =>
          withActions(async (_actions, before) => {
            const found = await services.api.version(path, before);
            await compare(services, viewers, path, found.version, version);
          })
      },
      {
        label: trans.__('Undo'),
        caption: trans.__('Undo the restore, for everyone'),
        callback: () =>
          withActions((actions, before) =>
            actions.undoRestore(services, { path, before, made: version.version_id })
          )
      }
    ]
  });
}

/** "Ada restored tides.ipynb: it has the content from Nov 28, 2026, 12:04 PM again." */
function sentence(services: IServices, event: IHistoryEvent, restored: IVersion): string {
  const { trans } = services.wording;
  const name = nameOf(event.path);
  const when = services.wording.moment(timeOf(restored));
  const said = restored.label
    ? trans.__('It has the content of “%1”, from %2, again.', restored.label, when)
    : trans.__('It has the content from %1 again.', when);
  const who = event.by
    ? trans.__('%1 restored %2.', event.by, name)
    : trans.__('Somebody restored %1.', name);
  return `${who} ${said}`;
}
