/** Leads whoever is no longer logged in to do so, in another tab: this one holds what they type. */

import { Notification } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { IServices } from './services';

/** From now on say when the server does not know the user any more, as after a restart that made
 * tokens and cookies anew, and offer to log in. JupyterLab itself tries again in silence. */
export function offerLogin(services: IServices): void {
  const { app, status, wording } = services;
  const { trans } = wording;
  const settings = app.serviceManager.serverSettings;
  let offer: string | null = null;
  let asking = false;

  const look = async (): Promise<void> => {
    const refused = [401, 403].includes(status.error?.status ?? 0);
    const out = refused && !(await isKnown(settings));
    if (!out && status.error === null && offer !== null) {
      Notification.dismiss(offer);
      offer = null;
    } else if (out && (offer === null || !Notification.manager.has(offer))) {
      offer = Notification.emit(
        trans.__(
          'You are not logged in to this server any more. What you type stays in this tab, so do not reload or close it: log in, and it goes on.'
        ),
        'warning',
        {
          autoClose: false,
          actions: [
            {
              label: trans.__('Log In…'),
              caption: trans.__('Log in, in a new tab'),
              displayType: 'accent',
              callback: event => {
                event.preventDefault();
                const url = URLExt.join(settings.baseUrl, 'bookstore/logged-in');
                window.open(url, '_blank', 'noopener');
              }
            }
          ]
        }
      );
    }
  };
  status.changed.connect(() => {
    if (!asking) {
      asking = true;
      void look().finally(() => (asking = false));
    }
  });
}

/** Whether the server knows who the user is, whatever else it forbids. */
async function isKnown(settings: ServerConnection.ISettings): Promise<boolean> {
  try {
    const url = URLExt.join(settings.baseUrl, 'api/me');
    const response = await ServerConnection.makeRequest(url, {}, settings);
    return ![401, 403].includes(response.status);
  } catch {
    return true; // it does not answer, which is another trouble
  }
}
