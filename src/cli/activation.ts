// Socket activation: a socket that whoever starts this process has bound for it. systemd does so, and libnbd's tools of `[ COMMAND ]`,
// as sd_listen_fds(3) has it.
import { usageError } from './failure.js';

/** SD_LISTEN_FDS_START of sd-daemon.h. */
const firstDescriptor = 3;

/**
 * The descriptor of that socket, for whoever asks first. What is meant for another process, which has started this one, is none.
 * @returns undefined where there is none
 */
export function givenSocket(): number | undefined {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = process.env;
  if (pid !== String(process.pid)) return undefined;
  if (count !== '1') {
    throw usageError(`LISTEN_FDS says '${count ?? ''}': it is served at one socket, so give it 1`);
  }
  // Programs that are started from here have not been given it.
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete process.env[name];
  return firstDescriptor;
}
