// Why another program failed, in its own words: the one line that says most of all that it said.

/** Lines that name a cause, whoever wrote them: compilers, git, Node.js, shells. */
const causes: readonly RegExp[] = [
  /(^|:\s*)(fatal |internal compiler )?error: /i, // gcc, clang, git
  /\berror TS\d+: /,
  /\[ERROR\] /, // esbuild
  /^fatal: /, // git
  /\b[A-Z]\w*(Error|Exception)( \[\w+\])?: |\bError( \[\w+\])?: /, // uncaught, or told with a prefix as node-gyp does
  /^(#\s*)?fatal error\b/i, // V8
  /\bassertion .*failed/i,
  /command not found|: not found$|: no such file or directory|: permission denied/i, // shells
];

/** npm's own, but for those that only name a code, a place or a file. */
const npmCause = /^npm (?:error|ERR!) (?!code |errno |syscall |path |dest |command |cwd |A complete log|Log files)\S/;

/** What Node.js and shells say around the cause. */
const surroundings = /^(Node\.js v[\d.]+|at .*|\^+|[{}]|\(Use `node .*|npm (error|ERR!).*|make.* \*\*\* .*|)$/;

/** Longer lines than this say it in their beginning. */
const longest = 600;

/**
 * The line that says why, of what a program has said before it failed. Undefined where it has said nothing.
 * @param said its standard output and standard error
 */
export function reasonIn(said: string): string | undefined {
  const lines = said.split('\n').map((line) => line.trim());
  const line =
    lines.find((one) => causes.some((cause) => cause.test(one))) ??
    lines.find((_, index) => /^at \S.*:\d+\)?$/.test(lines[index + 1] ?? '')) ?? // an error of any name, with its stack
    lines.find((one) => npmCause.test(one)) ??
    lines.findLast((one) => !surroundings.test(one)) ??
    lines.findLast((one) => one !== '');
  return line?.slice(0, longest);
}
