/** What can be done with versions: restore, label, publish, clone, download. */

import { Clipboard, Dialog, InputDialog, Notification, showDialog } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import { Widget } from '@lumino/widgets';

import type { IVersion } from './api';
import { attempt } from './attempt';
import { timeOf } from './grouping';
import type { IRestored, IServices } from './services';
import { cloneName, nameOf } from './wording';

/** Restore a version, after asking. */
export async function restore(
  services: IServices,
  path: string,
  version: IVersion
): Promise<void> {
  const { current, wording } = services;
  const trans = wording.trans;
  const name = nameOf(path);
  const body = document.createElement('div');
  body.className = 'jp-BookstoreDialog';
  const together = current.contextsOf(path).some(({ model }) => model.collaborative);
  for (const text of [
    trans.__('%1 will have the content from %2 again.', name, wording.moment(timeOf(version))),
    trans.__('This makes a new version on top. Nothing is lost: the current content stays a version.'),
    together
      ? trans.__('Everyone who has it open sees the change at once.')
      : trans.__('Unsaved changes are saved first.'),
    trans.__('You can undo it with one click.')
  ]) {
    body.appendChild(document.createElement('p')).textContent = text;
  }
  const answer = await showDialog({
    title: version.label
      ? trans.__('Restore “%1”?', version.label)
      : trans.__('Restore the version of %1?', wording.moment(timeOf(version))),
    body: new Widget({ node: body }),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Restore') })
    ]
  });
  if (!answer.button.accept) {
    return;
  }
  await bringBack(services, path, version.version_id, changed =>
    changed
      ? trans.__('%1 has the content from %2 again.', name, wording.moment(timeOf(version)))
      : trans.__('%1 already has this content; nothing was changed.', name)
  );
}

/** Bring back what was there before a restore; by default before the last one. Asks if that takes
 * back more than the restore. */
export async function undoRestore(
  services: IServices,
  restored: IRestored | null = services.lastRestore
): Promise<void> {
  if (!restored) {
    return;
  }
  const trans = services.wording.trans;
  const name = nameOf(restored.path);
  await attempt(trans, trans.__('It could not be undone'), async () => {
    if ((await changedSince(services, restored)) && !(await confirmUndo(services, name))) {
      return;
    }
    await bringBack(services, restored.path, restored.before, () =>
      trans.__('The restore of %1 is undone.', name)
    );
  });
}

async function changedSince(services: IServices, { path, made }: IRestored): Promise<boolean> {
  const { api, current } = services;
  const unsaved = current
    .contextsOf(path)
    .some(({ model }) => !model.collaborative && model.dirty);
  return unsaved || (await api.diff(path, made)).changed;
}

async function confirmUndo(services: IServices, name: string): Promise<boolean> {
  const trans = services.wording.trans;
  const answer = await showDialog({
    title: trans.__('Undo the restore of %1?', name),
    body: trans.__(
      'It was changed after the restore. Undoing takes back those changes too, for everyone. They stay in the history.'
    ),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Undo') })
    ]
  });
  return answer.button.accept;
}

async function bringBack(
  services: IServices,
  path: string,
  versionId: string,
  said: (changed: boolean) => string
): Promise<void> {
  const { api, current, model, wording } = services;
  const trans = wording.trans;
  await attempt(trans, trans.__('It could not be restored'), async () => {
    const alone = current.contextsOf(path).filter(context => !context.model.collaborative);
    for (const context of alone.filter(({ model }) => model.dirty)) {
      await context.save();
    }
    const asked = api.restore(path, versionId);
    services.ownRestores.push(asked);
    const { version, changed } = await asked;
    void model.refresh();
    if (!changed) {
      Notification.success(said(changed), { autoClose: 5_000 });
      return;
    }
    await Promise.all(alone.map(context => context.revert()));
    const before = await beforeOf(services, path, version);
    const last = services.lastRestore;
    if (last?.path === path) {
      Notification.dismiss(last.message); // there is one to undo at a time
    }
    const restored: IRestored | null = before
      ? { path, before, made: version.version_id }
      : null;
    services.lastRestore = restored;
    services.app.commands.notifyCommandChanged();
    const message = Notification.success(said(changed), {
      autoClose: restored ? 60_000 : 5_000,
      actions: restored
        ? [{ label: trans.__('Undo'), callback: () => void undoRestore(services, restored) }]
        : []
    });
    if (restored) {
      restored.message = message;
    }
  });
}

/** The id of the version that another took the place of. */
export async function beforeOf(
  services: IServices,
  path: string,
  version: IVersion
): Promise<string | null> {
  if (version.parent) {
    return version.parent;
  }
  const { versions } = await services.api.versions(path, { limit: 20 });
  const same = versions.filter(each => each.key === version.key);
  const at = same.findIndex(each => each.version_id === version.version_id);
  return same[at + 1]?.version_id ?? null;
}

/** Give a version a label, or take it away. */
export async function label(
  services: IServices,
  path: string,
  version: IVersion
): Promise<void> {
  const { api, model, wording } = services;
  const trans = wording.trans;
  const answer = await InputDialog.getText({
    title: version.label ? trans.__('Change the label') : trans.__('Label the version'),
    label: trans.__(
      'A name for the version of %1. Labelled versions are easy to find, and pruning keeps them.',
      wording.moment(timeOf(version))
    ),
    text: version.label ?? '',
    placeholder: trans.__('as submitted'),
    okLabel: trans.__('Label')
  });
  if (!answer.button.accept) {
    return;
  }
  const text = (answer.value ?? '').trim();
  await attempt(trans, trans.__('The version could not be labelled'), async () => {
    if (text) {
      model.update(await api.label(path, version.version_id, text));
    } else if (version.label) {
      model.update(await api.unlabel(path, version.version_id));
    }
  });
}

/** Publish a version, or what the notebook says now, after asking. */
export async function publish(
  services: IServices,
  path: string,
  version: IVersion | null
): Promise<void> {
  const { api, current, model, status, wording } = services;
  const trans = wording.trans;
  const { bucket = '', published_prefix = '' } = status.status ?? {};
  const where = `s3://${bucket}/${published_prefix}${path}`;
  const body = document.createElement('div');
  body.className = 'jp-BookstoreDialog';
  const said = version
    ? trans.__('What it said on %1 goes to', wording.moment(timeOf(version)))
    : trans.__('What it says now goes to');
  body.appendChild(document.createElement('p')).textContent = said;
  body.appendChild(document.createElement('code')).textContent = where;
  body.appendChild(document.createElement('p')).textContent = trans.__(
    'Everyone who can read the bucket can read and clone it there. Anything published under that name before stays a version.'
  );
  const answer = await showDialog({
    title: trans.__('Publish %1?', nameOf(path)),
    body: new Widget({ node: body }),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Publish') })
    ]
  });
  if (!answer.button.accept) {
    return;
  }
  await attempt(trans, trans.__('It could not be published'), async () => {
    for (const context of version ? [] : current.contextsOf(path)) {
      if (context.model.dirty && !context.model.collaborative) {
        await context.save();
      }
    }
    const published = await api.publish(path, version?.version_id);
    void model.refresh();
    const link = cloneLink(services, bucket, published_prefix + path);
    Notification.success(trans.__('Published as %1', published.s3_path), {
      autoClose: 15_000,
      actions: [
        {
          label: trans.__('Copy Link'),
          caption: trans.__('Copy the address of a page that clones it'),
          callback: () => Clipboard.copyToSystem(link)
        }
      ]
    });
  });
}

/** The address of the page that clones an object. */
function cloneLink(services: IServices, bucket: string, key: string): string {
  const base = services.app.serviceManager.serverSettings.baseUrl;
  const query = new URLSearchParams({ s3_bucket: bucket, s3_key: key });
  return `${URLExt.join(base, 'bookstore/clone')}?${query.toString()}`;
}

/** Make a new file of a version, and open it; `target` is its path, if it is to have a certain one. */
export async function clone(
  services: IServices,
  version: IVersion,
  target?: string
): Promise<void> {
  const { api, app, wording } = services;
  const trans = wording.trans;
  await attempt(trans, trans.__('It could not be cloned'), async () => {
    const bucket = await bucketOf(services);
    const made = await api.clone(bucket, version.key, version.version_id, target);
    await app.commands.execute('docmanager:open', { path: made.path });
    Notification.success(trans.__('Cloned as %1', made.path), { autoClose: 5_000 });
  });
}

/** Copy the address of the page that clones a published document. */
export async function share(services: IServices, version: IVersion): Promise<void> {
  const trans = services.wording.trans;
  await attempt(trans, trans.__('The link could not be copied'), async () => {
    Clipboard.copyToSystem(cloneLink(services, await bucketOf(services), version.key));
    Notification.info(trans.__('The link is copied.'), { autoClose: 3_000 });
  });
}

async function bucketOf({ api, status }: IServices): Promise<string> {
  return status.status?.bucket ?? (await api.status()).bucket;
}

/** Download the file as it was. */
export async function download(
  services: IServices,
  path: string,
  version: IVersion
): Promise<void> {
  const { api, wording } = services;
  await attempt(wording.trans, wording.trans.__('It could not be downloaded'), async () => {
    const address = URL.createObjectURL(await api.file(path, version.version_id));
    const link = document.createElement('a');
    link.href = address;
    link.download = nameOf(cloneName(path, timeOf(version)));
    document.body.appendChild(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  });
}

export function copyId(services: IServices, version: IVersion): void {
  Clipboard.copyToSystem(version.version_id);
  Notification.info(services.wording.trans.__('The version id is copied.'), { autoClose: 3_000 });
}
