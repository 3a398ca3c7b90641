/** Keeps the models current: with the document, with the server's events, and with the clock. */

import type { IServices } from './services';

const STATE_EVENTS = 'https://schema.jupyter.org/bookstore_y/state/v1';
const AFTER_EDIT = 2_000;

/** How often it is looked, in seconds. */
export interface IPace {
  seconds: number;
}

/** Keep the models current from now on. */
export function keepCurrent(services: IServices): IPace {
  const { app, current, model, status } = services;
  const pace: IPace = { seconds: 10 };
  const look = (): void => {
    if (document.visibilityState === 'visible') {
      void status.refresh();
    }
  };

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
    window.clearTimeout(soon);
    soon = window.setTimeout(look, AFTER_EDIT);
  });
  app.serviceManager.events.stream.connect((_, event) => {
    if (event.schema_id === STATE_EVENTS) {
      look();
    }
  });
  document.addEventListener('visibilitychange', look);

  const tick = (): void => {
    look();
    const hurry = status.archived === 'pending' ? 0.3 : 1;
    window.setTimeout(tick, Math.max(2, hurry * pace.seconds) * 1000);
  };
  window.setTimeout(tick, pace.seconds * 1000);
  return pace;
}
