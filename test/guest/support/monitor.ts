// Commands to a QEMU that runs, over its monitor socket (QMP).
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';

/** Runs one command; rejects with what QEMU has against it. */
export function command(socket: string, execute: string, words: Readonly<Record<string, unknown>>): Promise<void> {
  const connection = createConnection(socket);
  const send = (message: unknown) => connection.write(`${JSON.stringify(message)}\n`);
  // The first answer is to the handshake, the second to the command. What is not an answer tells of events.
  let answers = 0;
  return new Promise<void>((resolve, reject) => {
    connection.on('error', reject);
    connection.on('close', () => reject(new Error(`QEMU closed its monitor before it answered ${execute}`)));
    createInterface({ input: connection }).on('line', (line) => {
      const message = JSON.parse(line) as { QMP?: unknown; return?: unknown; error?: { desc: string } };
      if (message.QMP !== undefined) send({ execute: 'qmp_capabilities' });
      if (message.error !== undefined) reject(new Error(`${execute}: ${message.error.desc}`));
      if (message.return === undefined) return;
      if (++answers === 1) send({ execute, arguments: words });
      else resolve();
    });
  }).finally(() => connection.destroy());
}
