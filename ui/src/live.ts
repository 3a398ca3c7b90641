/** Keeps the models current: with the document, with the server's events, and with the clock. */

import type { IServices } from './services';

const STATE_EVENTS = 'https://schema.jupyter.org/bookstore_y/state/v1';
/** Milliseconds, and seconds. */
const AFTER_EDIT = 2_000;
const WHILE_PENDING = 3;
const IN_TROUBLE = 10;

/** How often it is looked, in seconds. */
export interface IPace {
  seconds: number;
}

/** Keep the models current from now on. */
export function keepCurrent(services: IServices): IPace {
  const { app, current, model, status } = services;
  const pace: IPace = { seconds: 30 };
  let timer = 0;
  const look = (): void => {
    if (document.visibilityState === 'visible') {
      void status.refresh();
    }
  };
  // Each answer says when to ask again; who comes back to the page asks at once.
  const arm = (): void => {
    window.clearTimeout(timer);
    const { archived } = status;
    const troubled = archived === 'retrying' || archived === 'offline';
    const seconds =
      archived === 'pending' ? WHILE_PENDING : troubled ? IN_TROUBLE : pace.seconds;
    timer = window.setTimeout(look, 1000 * seconds);
  };
  status.changed.connect(arm);

  let newest: string | null = null;
  status.changed.connect(() => {
    const found = status.status?.document?.newest?.version_id ?? null;
    const back = model.error !== null && status.error === null && !status.status?.error;
    if ((found !== newest && status.path === model.path) || back) {
      newest = found;
      void model.refresh();
    }
    app.commands.notifyCommandChanged();
  });
  model.changed.connect(() => app.commands.notifyCommandChanged());

  const follow = (): void => {
    newest = null;
    void model.setPath(current.path);
    void status.setPath(current.path);
  };
  current.changed.connect(follow);
  follow();

  let soon = 0;
  current.edited.connect(() => {
    // Not put off by further edits: somebody may be typing for long.
    soon ||= window.setTimeout(() => {
      soon = 0;
      look();
    }, AFTER_EDIT);
  });
  app.serviceManager.events.stream.connect((_, event) => {
    if (event.schema_id === STATE_EVENTS) {
      look();
    }
  });
  document.addEventListener('visibilitychange', look);

  arm();
  return pace;
}
