// Which commit is measured.
import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';

function git(folder: string, ...words: string[]): string | null {
  const { status, stdout } = spawnSync('git', ['-C', folder, ...words], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}

/**
 * The commit that is checked out in `folder`, with '-dirty' behind it where files have changed since.
 * @returns null where the folder is no checkout of its own, such as a package installed into somebody's project
 */
export function commitOf(folder: string): string | null {
  const top = git(folder, 'rev-parse', '--show-toplevel');
  if (top === null || realpathSync(top) !== realpathSync(folder)) return null;
  const commit = git(folder, 'rev-parse', 'HEAD');
  const changed = git(folder, 'status', '--porcelain', '--untracked-files=no');
  return commit === null || changed === '' ? commit : `${commit}-dirty`;
}
