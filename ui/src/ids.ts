/** The names by which commands, plugins and CSS know each other. */

export const PACKAGE = 'bookstore-y';
export const DOMAIN = 'bookstore_y';
export const PANEL_ID = 'bookstore-history';

export const CommandIDs = {
  open: 'bookstore:open-history',
  refresh: 'bookstore:refresh-history',
  look: 'bookstore:look',
  compareNow: 'bookstore:compare-with-now',
  comparePrevious: 'bookstore:compare-with-previous',
  mark: 'bookstore:select-for-compare',
  compareMarked: 'bookstore:compare-with-selected',
  restore: 'bookstore:restore',
  undoRestore: 'bookstore:undo-restore',
  publish: 'bookstore:publish',
  publishNow: 'bookstore:publish-now',
  label: 'bookstore:label',
  copyId: 'bookstore:copy-version-id',
  download: 'bookstore:download',
  clone: 'bookstore:clone',
  gallery: 'bookstore:open-gallery'
} as const;

/** Classes that shortcuts and the context menu select by. */
export const TREE_CLASS = 'jp-BookstoreHistory-tree';
export const VERSION_CLASS = 'jp-BookstoreHistory-version';
