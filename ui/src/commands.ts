/** The commands on versions; what they do is in a module that is loaded with the first of them. */

import type { ICommandPalette } from '@jupyterlab/apputils';
import {
  copyIcon,
  downloadIcon,
  duplicateIcon,
  historyIcon,
  refreshIcon,
  shareIcon,
  undoIcon
} from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { IVersion } from './api';
import { attempt } from './attempt';
import { timeOf } from './grouping';
import { CommandIDs } from './ids';
import { compare, compareBoth, look } from './opening';
import type { IServices, IViewers } from './services';
import { cloneName } from './wording';

type Actions = typeof import('./actions');

/** Arguments of the commands: a version's id. Without it, the newest of the sitting that has the
 * focus, or the one that is selected. */
const DESCRIBED = {
  args: {
    type: 'object',
    properties: {
      versionId: {
        type: 'string',
        description: 'The id of a version of the current document; by default the selected one'
      }
    }
  }
} as const;

/** Add the commands, and offer them in the palette. */
export function addCommands(
  services: IServices,
  viewers: IViewers,
  palette: ICommandPalette | null
): void {
  const { app, model, current, status, wording } = services;
  const { commands } = app;
  const trans = wording.trans;
  const category = trans.__('Version History');

  const versionOf = (args: ReadonlyPartialJSONObject): IVersion | null =>
    model.find(
      (args.versionId as string | undefined) ?? sittingInFocus() ?? model.selected?.version_id
    );
  const withActions = (run: (actions: Actions) => Promise<void>): Promise<void> =>
    attempt(trans, trans.__("This can't be done now"), async () =>
      run(await import('./actions'))
    );
  const isNotebook = (): boolean => !!current.path?.endsWith('.ipynb');

  const add = (
    id: string,
    options: {
      label: string | ((version: IVersion | null) => string);
      caption: string;
      icon?: CommandRegistry.ICommandOptions['icon'];
      run: (actions: Actions, path: string, version: IVersion) => Promise<void> | void;
      when?: (version: IVersion) => boolean;
    }
  ): void => {
    const { label, when } = options;
    commands.addCommand(id, {
      label: typeof label === 'string' ? label : args => label(versionOf(args)),
      caption: options.caption,
      icon: options.icon,
      describedBy: DESCRIBED,
      isEnabled: args => {
        const version = versionOf(args);
        return version !== null && (when === undefined || when(version));
      },
      execute: async args => {
        const id = versionOf(args)?.version_id;
        await withActions(async actions => {
          // Found after the wait: meanwhile the document may have become another one.
          const version = model.find(id);
          if (version) {
            await options.run(actions, model.path!, version);
          }
        });
      }
    });
    palette?.addItem({ command: id, category });
  };

  add(CommandIDs.look, {
    label: trans.__('Look at Version'),
    caption: trans.__('Show the version, rendered and read-only, in its own tab'),
    icon: historyIcon,
    run: (_actions, path, version) => look(services, viewers, path, version)
  });
  add(CommandIDs.compareNow, {
    label: trans.__('Compare with Now'),
    caption: trans.__('Show what has changed since the version'),
    run: (_actions, path, version) => compare(services, viewers, path, version, null)
  });
  add(CommandIDs.comparePrevious, {
    label: trans.__('Compare with the Version Before'),
    caption: trans.__('Show what the version changed'),
    when: version => previousOf(model.versions, version) !== null,
    run: (_actions, path, version) =>
      compare(services, viewers, path, previousOf(model.versions, version)!, version)
  });
  add(CommandIDs.mark, {
    label: trans.__('Select for Compare'),
    caption: trans.__('Remember the version to compare another one with it'),
    run: (_actions, _path, version) => {
      model.marked = version;
    }
  });
  add(CommandIDs.compareMarked, {
    label: () =>
      model.marked
        ? trans.__('Compare with Selected (%1)', wording.moment(new Date(model.marked.last_modified)))
        : trans.__('Compare with Selected'),
    caption: trans.__('Show the differences between this version and the selected one'),
    when: version => !!model.marked && model.marked.version_id !== version.version_id,
    run: (_actions, path, version) =>
      compareBoth(services, viewers, path, model.marked!, version)
  });
  add(CommandIDs.restore, {
    label: trans.__('Restore Version…'),
    caption: trans.__('Restore the document to this version'),
    run: (actions, path, version) => actions.restore(services, path, version)
  });
  add(CommandIDs.label, {
    label: version => (version?.label ? trans.__('Change Label…') : trans.__('Label Version…')),
    caption: trans.__('Name the version'),
    run: (actions, path, version) => actions.label(services, path, version)
  });
  add(CommandIDs.publish, {
    label: trans.__('Publish Version…'),
    caption: trans.__('Publish the version where your organization can read it'),
    icon: shareIcon,
    when: () => isNotebook() && status.status?.features.publish_valid !== false,
    run: (actions, path, version) => actions.publish(services, path, version)
  });
  add(CommandIDs.clone, {
    label: () =>
      isNotebook() ? trans.__('Clone as New Notebook') : trans.__('Clone as New File'),
    caption: trans.__('Make a new file from the version and open it'),
    icon: duplicateIcon,
    when: () => status.status?.features.s3_clone_valid !== false,
    run: (actions, path, version) =>
      actions.clone(services, version, cloneName(path, timeOf(version)))
  });
  add(CommandIDs.download, {
    label: trans.__('Download Version'),
    caption: trans.__('Download the file from this version'),
    icon: downloadIcon,
    run: (actions, path, version) => actions.download(services, path, version)
  });
  add(CommandIDs.copyId, {
    label: trans.__('Copy Version Id'),
    caption: trans.__('Copy the version id from the bucket'),
    icon: copyIcon,
    run: (actions, _path, version) => actions.copyId(services, version)
  });

  commands.addCommand(CommandIDs.undoRestore, {
    label: trans.__('Undo the Last Restore'),
    caption: trans.__('Undo the last restore of the document'),
    icon: undoIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    isEnabled: () => services.lastRestore?.path === current.path,
    execute: () => withActions(actions => actions.undoRestore(services))
  });
  commands.addCommand(CommandIDs.publishNow, {
    label: trans.__('Publish Notebook…'),
    caption: trans.__("Publish the notebook's current content where your organization can read it"),
    icon: shareIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    isEnabled: () => isNotebook() && status.status?.features.publish_valid !== false,
    execute: () =>
      withActions(async actions => {
        if (current.path !== null) {
          await actions.publish(services, current.path, null);
        }
      })
  });
  commands.addCommand(CommandIDs.refresh, {
    label: trans.__('Refresh Version History'),
    caption: trans.__('Check for new versions now'),
    icon: refreshIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    isEnabled: () => model.path !== null,
    execute: async () => {
      await Promise.all([model.reload(), status.refresh()]);
    }
  });
  for (const command of [CommandIDs.undoRestore, CommandIDs.publishNow, CommandIDs.refresh]) {
    palette?.addItem({ command, category });
  }
}

/** The id of the newest version of the sitting whose row has the focus, which a key means then. */
function sittingInFocus(): string | undefined {
  const row = document.activeElement;
  return row instanceof HTMLElement ? row.dataset.newestId : undefined;
}

/** The version before another one in its own key: what a room or a file said before. */
export function previousOf(versions: readonly IVersion[], version: IVersion): IVersion | null {
  const at = versions.findIndex(each => each.version_id === version.version_id);
  return versions.slice(at + 1).find(each => each.key === version.key) ?? null;
}
