// Which commit is measured.
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, askGit } from './git.js';

/**
 * The commit that is checked out in `folder`, with '-dirty' behind it where files have changed since.
 * @param tell is told why git does not say, where the folder is a checkout
 * @returns null where the folder is no checkout of its own, such as a package installed into somebody's project
 */
export function commitOf(folder: string, tell: (why: string) => void): string | null {
  if (!existsSync(join(folder, '.git'))) return null;
  const ask = (...words: string[]): string | null => {
    const answer: Answer = askGit(folder, ...words);
    if ('said' in answer) return answer.said;
    tell(`the commit of ${folder} is not known: git says ${answer.refused}`);
    return null;
  };
  const top = ask('rev-parse', '--show-toplevel');
  // Of a .git that is none, git looks further up.
  if (top === null || realpathSync(top) !== realpathSync(folder)) return null;
  const commit = ask('rev-parse', 'HEAD');
  const changed = commit === null ? null : ask('status', '--porcelain', '--untracked-files=no');
  return changed === null || changed === '' ? commit : `${commit}-dirty`;
}
