/** Keeps the models current: with the document, with the server's events, and with the clock. */

import { Notification } from '@jupyterlab/apputils';

import type { IServices } from './services';
import { isComing } from './workspace';

const STATE_EVENTS = 'https://schema.jupyter.org/bookstore_y/state/v1';
const NOTICE_EVENTS = 'https://schema.jupyter.org/bookstore_y/notice/v1';
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
  const { app, current, model, status, wording } = services;
  const pace: IPace = { seconds: 30 };
  let timer = 0;
  const look = (fresh = false): void => {
    const wanted = status.path !== null || isComing(status);
    if (document.visibilityState === 'visible' && wanted) {
      void status.refresh(fresh);
    }
  };
  // Each answer says when to ask again; who comes back to the page asks at once.
  const arm = (): void => {
    window.clearTimeout(timer);
    const { archived } = status;
    const troubled = ['retrying', 'offline', 'failed'].includes(archived);
    const coming = isComing(status);
    const waiting = coming && status.status?.workspace?.state === 'waiting';
    const soon = archived === 'pending' || (coming && !waiting);
    const seconds = soon ? WHILE_PENDING : troubled || waiting ? IN_TROUBLE : pace.seconds;
    timer = window.setTimeout(() => look(), 1000 * seconds);
  };
  status.changed.connect(arm);

  // The newest version that the list was asked for, once.
  let asked: string | null = null;
  const catchUp = (): void => {
    const { document } = status.status ?? {};
    const newest = document?.newest?.version_id;
    if (!newest || newest === asked || document.path !== model.path || model.state === 'loading') {
      return;
    }
    asked = newest;
    if (!model.find(newest)) {
      void model.refresh();
    }
  };
  status.changed.connect(() => {
    const gone = status.error !== null;
    const troubled = gone || !!status.status?.error;
    // Who looks at the list is told that the server is gone, and sees it come back.
    if (model.error === null ? gone : !troubled) {
      void model.refresh();
    } else {
      catchUp();
    }
    app.commands.notifyCommandChanged();
  });
  model.changed.connect(() => {
    catchUp();
    app.commands.notifyCommandChanged();
  });

  const follow = (): void => {
    asked = null;
    void model.setPath(current.path);
    void status.setPath(current.path);
  };
  current.changed.connect(follow);
  follow();

  let soon = 0;
  let fresh = false;
  const lookSoon = (): void => {
    // Not put off by further edits: somebody may be typing for long.
    soon ||= window.setTimeout(() => {
      look(fresh);
      soon = 0;
      fresh = false;
    }, AFTER_EDIT);
  };
  current.edited.connect(lookSoon);
  current.saved.connect(() => {
    fresh = true;
    lookSoon();
  });
  app.serviceManager.events.stream.connect((_, event) => {
    if (event.schema_id === STATE_EVENTS) {
      look();
    } else if (event.schema_id === NOTICE_EVENTS && event.kind === 'late edits') {
      look(true);
      if (current.path === event.path) {
        Notification.warning(wording.lateEdits(String(event.path)), { autoClose: false });
      }
    }
  });
  app.serviceManager.connectionFailure.connect(() => look());
  document.addEventListener('visibilitychange', () => look());

  arm();
  return pace;
}
