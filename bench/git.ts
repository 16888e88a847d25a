// git, asked about the folder that is meant.
//
// In a hook, git says by its environment which repository is at work. That is not the one that is asked about here.
import { spawnSync } from 'node:child_process';
import { execute, type Failed } from './execute.js';

/**
 * What names a repository, an index or a place of objects: of `git rev-parse --local-env-vars`, all but the configuration,
 * which may say that a folder is to be trusted.
 */
const local = [
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_COMMON_DIR',
  'GIT_INDEX_FILE',
  'GIT_OBJECT_DIRECTORY',
  'GIT_ALTERNATE_OBJECT_DIRECTORIES',
  'GIT_QUARANTINE_PATH',
  'GIT_IMPLICIT_WORK_TREE',
  'GIT_NAMESPACE',
  'GIT_PREFIX',
  'GIT_GRAFT_FILE',
  'GIT_SHALLOW_FILE',
  'GIT_NO_REPLACE_OBJECTS',
  'GIT_REPLACE_REF_BASE',
];

/** The environment without a repository in it, for git and for whatever may ask git. */
export function withoutRepository(environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !local.includes(name)));
}

/** What git answers, without the newline at its end; or why it does not, in its own words. */
export type Answer = { readonly said: string } | { readonly refused: string };

/** Asks git in a folder, and waits. */
export function askGit(folder: string, ...words: string[]): Answer {
  const env = withoutRepository();
  const { status, stdout, stderr, error } = spawnSync('git', ['-C', folder, ...words], { encoding: 'utf8', env });
  if (error !== undefined) return { refused: notStarted(error) };
  return status === 0 ? { said: stdout.trim() } : { refused: stderr.trim() || `git ended with ${status}` };
}

/** Runs git in the working directory, or where `words` say. */
export async function runGit(...words: string[]): Promise<Answer> {
  try {
    return { said: (await execute('git', words, { env: withoutRepository() })).stdout.trim() };
  } catch (cause) {
    const { stderr, message, code } = cause as Failed;
    return { refused: stderr.trim() || (code === 'ENOENT' ? notStarted({ code }) : message) };
  }
}

function notStarted({ code, message = '' }: { code?: string; message?: string }): string {
  return code === 'ENOENT' ? 'git is not on the PATH' : message;
}
