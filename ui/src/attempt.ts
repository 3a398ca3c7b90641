/** Says why something could not be done. */

import { Dialog, showErrorMessage } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError } from './api';

/** Do it, or say why it cannot be done. */
export async function attempt(
  trans: TranslationBundle,
  title: string,
  action: () => Promise<void>
): Promise<void> {
  try {
    await action();
  } catch (error) {
    const text = isOffline(error)
      ? trans.__('The Jupyter server does not answer. Try again when it is back.')
      : error instanceof Error
        ? error.message
        : String(error);
    await showErrorMessage(title, text, [Dialog.okButton({ label: trans.__('Close') })]);
  }
}

/** Whether a call had no answer, or a part of the extension could not be loaded. */
function isOffline(error: unknown): boolean {
  return error instanceof ApiError
    ? error.status === 0
    : error instanceof Error && error.name === 'ChunkLoadError';
}
